#!/bin/sh
# Checks the models with spin: variants that must hold, and controls that must fail, each of which leaves one rule of
# the protocol out (a model that cannot fail proves nothing). The last line is `N passed, N failed`.
#
#     tests/model/run.sh [-k WORD]     only variants whose name contains WORD
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
only=
[ "$1" = -k ] && only=$2
passed=0
failed=0
number=0
told=0

if ! command -v spin >/dev/null 2>&1; then
    echo "spin is not installed: the models cannot be checked; configure --install-deps=check installs it"
    echo "0 passed, 1 failed"
    exit 1
fi

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 1

# search LEVEL MODEL DEFINES...: prints "holds" or "fails" with the number of states, or why there is no answer.
search() {
    level=$1
    model=$2
    shift 2
    spin -a "$@" "$here/$model" >spin.log 2>&1 || { echo "spin: $(head -n 1 spin.log)"; return; }
    "${CC:-cc}" "$level" -w -DSAFETY -DMEMLIM=2000 -o pan pan.c 2>cc.log || { echo "cc: $(head -n 1 cc.log)"; return; }
    ./pan -E -m200000 >pan.log 2>&1
    states=$(sed -n 's/^ *\([0-9]*\) states, stored$/\1/p' pan.log)
    if grep -q 'assertion violated' pan.log; then
        echo "fails ($states states)"
    elif grep -q 'errors: 0$' pan.log && ! grep -qiE 'search not completed|max search depth|out of memory' pan.log; then
        echo "holds ($states states)"
    else
        echo "no answer: $(grep -E '^(error|pan)' pan.log | head -n 1)"
    fi
}

# judge EXPECT NAME MODEL DEFINES...: one line.
judge() {
    expect=$1
    name=$2
    shift 2
    level=-O1 # most of what fails does so soon: then compiling is what takes time
    [ "$expect" = fails ] && level=-O0
    [ "$expect" = late ] && expect=fails
    result=$(search "$level" "$@")
    case $result in
    "$expect "*) echo "ok      $name: $result" ;;
    *) echo "FAILED  $name: $result, but it must be that it $expect" ;;
    esac
}

# variant EXPECT NAME MODEL DEFINES...: two at a time, each in a folder of its own.
variant() {
    case $2 in *"$only"*) ;; *) return ;; esac
    number=$((number + 1))
    mkdir "$number"
    (cd "$number" && judge "$@" >result && rm -f pan pan.*) &
    [ $((number % 2)) -eq 1 ] || await
}

await() {
    wait
    while [ "$told" -lt "$number" ]; do
        told=$((told + 1))
        cat "$told/result"
        case $(cat "$told/result") in ok*) passed=$((passed + 1)) ;; *) failed=$((failed + 1)) ;; esac
    done
}

variant holds "turn" turn.pml -DSTUCK=2
variant holds "turn, one worker drains" turn.pml -DDRAIN
variant holds "turn, one worker is killed" turn.pml -DKILL=2
variant holds "turn, one worker is killed and started again" turn.pml -DKILL=2 -DRESPAWN -DSTUCK=0
variant holds "turn, one worker is stopped" turn.pml -DSTOP=1
variant holds "turn, one worker never wakes up" turn.pml -DSLEEP=0
variant holds "turn, one worker is declared lost by mistake" turn.pml -DERR=0 -DWORKERS=2
variant holds "turn with full workers" turn.pml -DLEVELS -DWORKERS=2 -DCHANGES=3
variant fails "turn without the second look after parking" turn.pml -DSTUCK=2 -DNOREPARK
variant fails "turn without the re-check after the kick" turn.pml -DSTUCK=2 -DCONNECTIONS=3 -DNORECHECK
variant late "turn that is left to those who are awake" turn.pml -DSTUCK=2 -DCONNECTIONS=3 -DNOSLEEPER
variant fails "turn with the flag cleared before the bell is drained" turn.pml -DKILL=2 -DBADORDER
variant fails "turn without a rescue after a death" turn.pml -DKILL=2 -DNORESCUE
variant late "turn with a rescue of the parked only" turn.pml -DKILL=2 -DCONNECTIONS=3 -DPARKEDONLY
variant late "turn with kicks that are not forwarded" turn.pml -DDRAIN -DNOFORWARD
variant fails "turn with kicks for the lost" turn.pml -DSLEEP=0 -DNOLOST
variant late "turn with lost ones of whom nobody hears" turn.pml -DSTOP=1 -DNOCALL
variant fails "turn with workers that sleep on as lost" turn.pml -DERR=0 -DWORKERS=2 -DSTILLLOST
variant fails "turn with full workers that nobody kicks" turn.pml -DLEVELS -DWORKERS=2 -DNOFULL
variant fails "turn with full workers that look at the others too early" turn.pml -DLEVELS -DWORKERS=2 -DEARLYLOOK
variant fails "turn with workers that fill up in silence" turn.pml -DLEVELS -DWORKERS=2 -DSILENT
variant fails "turn with full workers that turn away too much" turn.pml -DLEVELS -DWORKERS=2 -DNOLOOK

one_sender="-DCAP=1 -DMSGS=2 -DSENDERS=1"
one_reader="-DCAP=1 -DMSGS=2 -DREADERS=1"
killed="-DCAP=1 -DMSGS=1 -DREADERS=1 -DKILL=0"
evicted="-DCAP=1 -DMSGS=3 -DSENDERS=1 -DREADERS=1 -DEVICT"
# shellcheck disable=SC2086 # lists of options
{
variant holds "mailbox, two readers" mailbox.pml $one_sender
variant holds "mailbox, two senders" mailbox.pml -DMSGS=2 -DREADERS=1
variant holds "mailbox, messages for some" mailbox.pml $one_sender -DSOME
variant holds "mailbox, a sender is killed" mailbox.pml $killed
variant holds "mailbox, a reader is killed" mailbox.pml $one_sender -DREADERS=1 -DKILL=2
variant holds "mailbox, a reader is evicted" mailbox.pml $evicted
variant fails "mailbox without the reader's second look" mailbox.pml $one_sender -DNOREPARK
variant fails "mailbox without the sender's second look" mailbox.pml $one_sender -DNOREWAIT
variant fails "mailbox without a word that a sender waits" mailbox.pml $one_reader -DNOHINT
variant fails "mailbox with readers that do not say there is room" mailbox.pml $one_sender -DNOWAKE
variant fails "mailbox with the note cleared before the bell is read" mailbox.pml $one_reader -DBADORDER
variant fails "mailbox without a nudge when it is full" mailbox.pml $one_sender -DSOME -DNONUDGE
variant fails "mailbox without a rescue after a death" mailbox.pml $killed -DNORESCUE
variant fails "mailbox with a rescue of those not yet rung only" mailbox.pml $killed -DCLEARONLY
variant fails "mailbox with a rescue of the parked only" mailbox.pml $killed -DPARKEDONLY
variant fails "mailbox without a journal" mailbox.pml $killed -DNOJOURNAL
variant fails "mailbox with one copy of the latest value" mailbox.pml $one_reader -DKILL=0 -DONECOPY
variant fails "mailbox that believes an uncommitted value" mailbox.pml $killed -DNODROP
variant fails "mailbox without a look at the state after the copy" mailbox.pml $evicted -DNOCHECK
}

await
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
