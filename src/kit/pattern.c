/* pattern.c - stands in for libpcre2, so that who links the kit needs none: routes with a regular expression are refused,
 * so no match is ever looked for. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdio.h>

pcre2_code *pcre2_compile(PCRE2_SPTR pattern, PCRE2_SIZE n, uint32_t options, int *error,
                          PCRE2_SIZE *at, pcre2_compile_context *context)
{
    (void)pattern, (void)n, (void)options, (void)context;
    *error = 0;
    *at = 0;
    return NULL;
}

int pcre2_get_error_message(int error, PCRE2_UCHAR *out, PCRE2_SIZE room)
{
    (void)error;
    return snprintf((char *)out, room, "the test kit has no regular expressions");
}

int pcre2_jit_compile(pcre2_code *code, uint32_t options)
{
    (void)code, (void)options;
    return 0;
}

void pcre2_code_free(pcre2_code *code)
{
    (void)code;
}

pcre2_match_data *pcre2_match_data_create_from_pattern(const pcre2_code *code,
                                                       pcre2_general_context *context)
{
    (void)code, (void)context;
    return NULL;
}

void pcre2_match_data_free(pcre2_match_data *data)
{
    (void)data;
}

int pcre2_match(const pcre2_code *code, PCRE2_SPTR text, PCRE2_SIZE n, PCRE2_SIZE from,
                uint32_t options, pcre2_match_data *data, pcre2_match_context *context)
{
    (void)code, (void)text, (void)n, (void)from, (void)options, (void)data, (void)context;
    return PCRE2_ERROR_NOMATCH;
}

pcre2_match_context *pcre2_match_context_create(pcre2_general_context *context)
{
    (void)context;
    return NULL;
}

void pcre2_match_context_free(pcre2_match_context *context)
{
    (void)context;
}

int pcre2_set_match_limit(pcre2_match_context *context, uint32_t limit)
{
    (void)context, (void)limit;
    return 0;
}

int pcre2_set_heap_limit(pcre2_match_context *context, uint32_t limit)
{
    (void)context, (void)limit;
    return 0;
}

pcre2_jit_stack *pcre2_jit_stack_create(PCRE2_SIZE least, PCRE2_SIZE most,
                                        pcre2_general_context *context)
{
    (void)least, (void)most, (void)context;
    return NULL;
}

void pcre2_jit_stack_assign(pcre2_match_context *context, pcre2_jit_callback callback, void *data)
{
    (void)context, (void)callback, (void)data;
}

void pcre2_jit_stack_free(pcre2_jit_stack *stack)
{
    (void)stack;
}
