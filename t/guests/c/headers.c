/*
 * A plugin in C without an SDK, a C library or WASI: the ABI, as the specification has it.
 *
 * Adds x-c to responses, with the configuration as its value; answers /c-blocked itself.
 */

#include <stddef.h>
#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) int name
#define EXPORT(name) __attribute__((export_name(#name))) name

enum { REQUEST_HEADERS = 0, RESPONSE_HEADERS = 2, PLUGIN_CONFIGURATION = 7 };
enum { CONTINUE = 0, PAUSE = 1 };
enum { INFO = 2 };

IMPORT(proxy_log)(int level, const char *text, size_t size);
IMPORT(proxy_get_buffer_bytes)(int buffer, size_t start, size_t max, char **data, size_t *size);
IMPORT(proxy_get_header_map_value)(int map, const char *key, size_t key_size,
                                   char **value, size_t *value_size);
IMPORT(proxy_add_header_map_value)(int map, const char *key, size_t key_size,
                                   const char *value, size_t value_size);
IMPORT(proxy_send_local_response)(int status, const char *details, size_t details_size,
                                  const char *body, size_t body_size,
                                  const char *headers, size_t headers_size, int grpc_status);

#define TEXT(literal) literal, sizeof(literal) - 1


/*
 * malloc, as the host calls it to hand data over. Blocks have sizes that are powers of two, and a
 * freed one goes to the list of its size; new ones come from the end of the memory, which grows.
 */

extern char __heap_base;

typedef struct block {
    struct block *next;
    uint32_t class;
    uint32_t unused;    /* keeps what follows aligned to 8 bytes even with 32-bit pointers */
} block_t;

static uintptr_t heap_end;
static block_t  *free_blocks[32];

void *EXPORT(malloc)(size_t size)
{
    uint32_t  class = 5;
    block_t  *block;

    while (class < 31 && ((size_t) 1 << class) < size + sizeof(block_t)) {
        class++;
    }

    if (((size_t) 1 << class) < size + sizeof(block_t)) {
        return NULL;
    }

    block = free_blocks[class];
    if (block != NULL) {
        free_blocks[class] = block->next;
        return block + 1;
    }

    if (heap_end == 0) {
        heap_end = ((uintptr_t) &__heap_base + 15) & ~(uintptr_t) 15;
    }

    uintptr_t wanted = heap_end + ((size_t) 1 << class);
    uintptr_t memory = __builtin_wasm_memory_size(0) * 65536;

    if (wanted < heap_end
        || (wanted > memory
            && __builtin_wasm_memory_grow(0, (wanted - memory + 65535) / 65536) == (size_t) -1))
    {
        return NULL;
    }

    block = (block_t *) heap_end;
    block->class = class;
    heap_end = wanted;
    return block + 1;
}

void EXPORT(free)(void *data)
{
    if (data != NULL) {
        block_t *block = (block_t *) data - 1;
        block->next = free_blocks[block->class];
        free_blocks[block->class] = block;
    }
}

/* The compiler may make calls of it out of loops. */
int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *p = a, *q = b;

    for (size_t i = 0; i < size; i++) {
        if (p[i] != q[i]) {
            return p[i] - q[i];
        }
    }

    return 0;
}


/* The plugin. */

static char   *configuration;
static size_t  configuration_size;

void EXPORT(proxy_abi_version_0_2_1)(void) { }

void EXPORT(_initialize)(void)
{
    proxy_log(INFO, TEXT("C plugin initialized"));
}

int EXPORT(proxy_on_configure)(int root, size_t size)
{
    free(configuration);
    configuration = NULL;
    configuration_size = 0;

    if (size > 0) {
        proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, &configuration, &configuration_size);
        proxy_log(INFO, configuration, configuration_size);
    }

    return 1;
}

int EXPORT(proxy_on_request_headers)(int context, int count, int end_of_stream)
{
    static const char headers[] =
        "\1\0\0\0" "\6\0\0\0" "\5\0\0\0"
        "x-by-c\0" "local";
    char  *path = NULL;
    size_t size = 0;
    int    blocked;

    if (proxy_get_header_map_value(REQUEST_HEADERS, TEXT(":path"), &path, &size) != 0) {
        return CONTINUE;
    }

    blocked = size == 10 && memcmp(path, "/c-blocked", 10) == 0;
    free(path);

    if (!blocked) {
        return CONTINUE;
    }

    proxy_send_local_response(403, TEXT("blocked by C"), TEXT("no, says C\n"),
                              headers, sizeof(headers), -1);
    return PAUSE;
}

int EXPORT(proxy_on_response_headers)(int context, int count, int end_of_stream)
{
    proxy_add_header_map_value(RESPONSE_HEADERS, TEXT("x-c"), configuration, configuration_size);
    return CONTINUE;
}
