/* A program that loads the library at run time, and lets go of it again: what else it has, a plugin
 * for example, brought it. */
#include "check.h"

#include <dlfcn.h>

/* A pointer to data, as dlsym gives it, is turned into one to a function as POSIX says. */
#define FUNCTION(type, name)                                                                 \
    type name;                                                                               \
    *(void **)&name = dlsym(library, "kvraft_" #name);                                       \
    CHECK(name)

typedef uint32_t abi_version_function(void);
typedef enum kvraft_status config_function(const char *, kvraft_config **, kvraft_error **);
typedef enum kvraft_status open_function(const kvraft_config *, kvraft_map **, kvraft_error **);
typedef enum kvraft_status put_function(const kvraft_map *, const void *, size_t, const void *,
                                        size_t, uint32_t, uint64_t *, kvraft_error **);
typedef enum kvraft_status close_function(const kvraft_map *, kvraft_error **);

int main(int argc, char **argv)
{
    int round;

    alarm(DEADLINE_S);
    CHECK(argc == 3);
    for (round = 0; round < 2; round++) {
        kvraft_config *config;
        kvraft_map *map;
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);

        CHECK(library);
        {
            FUNCTION(abi_version_function *, abi_version);
            FUNCTION(config_function *, config_new);
            FUNCTION(open_function *, open);
            FUNCTION(put_function *, put);
            FUNCTION(close_function *, close);
            CHECK(abi_version() == KVRAFT_ABI_VERSION);
            CHECK(config_new(argv[2], &config, NULL) == KVRAFT_OK);
            CHECK(open(config, &map, NULL) == KVRAFT_OK);
            CHECK(put(map, "k", 1, "v", 1, PATIENCE_MS, NULL, NULL) == KVRAFT_OK);
            CHECK(close(map, NULL) == KVRAFT_OK);
        }
        {
            typedef void config_free_function(kvraft_config *);
            typedef void free_function(kvraft_map *);
            FUNCTION(config_free_function *, config_free);
            FUNCTION(free_function *, free);
            config_free(config);
            free(map);
        }
        CHECK(dlclose(library) == 0);
        /* Its threads wait for work, and go on to have their code. */
        CHECK(dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD));
    }
    return 0;
}
