/* main.c - the first statement blocks the signals that the processes read: a SIGUSR1 would else
 * kill one that is just being born. */
#include "cli/cli.h"
#include "os/child.h"
#include "os/sig.h"

int main(int argc, char **argv)
{
    sig_block_all();
    child_title_init(argc, argv);
    return cli_main(argc, argv);
}
