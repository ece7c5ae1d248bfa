/* Signals are the program's: the library takes none, raises none, and handles none. */
#include "check.h"

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

#define SIGNALS 32

static volatile sig_atomic_t handled;

static void handle(int number)
{
    handled = number;
}

static void called(void *context, enum kvraft_status status, kvraft_outcome *outcome,
                   const kvraft_error *error)
{
    (void)outcome, (void)error;
    CHECK(status == KVRAFT_OK && sem_post((sem_t *)context) == 0);
}

/* A thread that the library has for callbacks, too. */
static void have_it_call_back(const kvraft_map *map)
{
    sem_t done;
    CHECK(sem_init(&done, 0, 0) == 0);
    CHECK_OK(kvraft_put_async(map, "k", 1, "v", 1, NULL, called, &done, &error));
    CHECK(sem_wait(&done) == 0 && sem_destroy(&done) == 0);
}

/* Returns how many threads of this process take a signal. */
static int takers(int number)
{
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *task;
    int found = 0;

    CHECK(tasks);
    while ((task = readdir(tasks)) != NULL) {
        char path[300], line[200];
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/task/%.200s/status", task->d_name);
        file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        while (file && fgets(line, sizeof line, file)) {
            if (strncmp(line, "SigBlk:", 7) == 0) {
                found += !(strtoull(line + 7, NULL, 16) >> (number - 1) & 1);
            }
        }
        if (file) {
            CHECK(fclose(file) == 0);
        }
    }
    CHECK(closedir(tasks) == 0);
    return found;
}

static void actions(struct sigaction *all)
{
    int number;
    for (number = 1; number < SIGNALS; number++) {
        CHECK(sigaction(number, NULL, &all[number]) == 0);
    }
}

int main(int argc, char **argv)
{
    static struct sigaction before[SIGNALS], after[SIGNALS];
    const struct timespec patience = {PATIENCE_MS / 1000, 0};
    struct sigaction action;
    sigset_t mask_before, mask_after, user;
    kvraft_client_config *client_config;
    kvraft_node_status *status;
    kvraft_member member;
    kvraft_map *map, *client;
    kvraft_config *config;
    int number;

    alarm(DEADLINE_S);
    CHECK(argc == 2);
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask_before) == 0);
    actions(before);

    config = config_for(argv[1]);
    set(config, "name", "a");
    set(config, "listen", "127.0.0.1:0");
    set(config, "cluster_secret", SECRET);
    map = open_with(config);
    CHECK_OK(kvraft_wait_ready(map, PATIENCE_MS, &error));
    CHECK_OK(kvraft_node_status_new(map, &status, &error));
    CHECK_OK(kvraft_node_status_member(status, 0, &member, &error));
    CHECK_OK(kvraft_client_config_new(member.address, &client_config, &error));
    kvraft_node_status_free(status);
    CHECK_OK(kvraft_client_config_set_str(client_config, "cluster_secret", SECRET, &error));
    CHECK_OK(kvraft_connect(client_config, &client, &error));
    kvraft_client_config_free(client_config);
    have_it_call_back(map);

    /* No handlers, and the caller's mask is as it was. */
    actions(after);
    for (number = 1; number < SIGNALS; number++) {
        CHECK(before[number].sa_handler == after[number].sa_handler);
    }
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask_after) == 0);
    for (number = 1; number < SIGNALS; number++) {
        CHECK(sigismember(&mask_before, number) == sigismember(&mask_after, number));
    }

    /* A signal that this thread waits for is given to no thread of the library, where it would
       interrupt what writes to the disk. */
    CHECK(takers(SIGUSR1) == 1 && takers(SIGTERM) == 1);
    CHECK(sigemptyset(&user) == 0 && sigaddset(&user, SIGUSR1) == 0);
    CHECK(pthread_sigmask(SIG_BLOCK, &user, NULL) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK(sigtimedwait(&user, NULL, &patience) == SIGUSR1 && !handled);

    /* SIGPIPE would end this program; what is sent to nobody is an error instead. */
    CHECK_OK(kvraft_close(map, &error));
    CHECK(kvraft_put(client, "k", 1, "v", 1, 100, NULL, NULL) > KVRAFT_OK);
    CHECK_OK(kvraft_close(client, &error));
    kvraft_free(client);
    kvraft_free(map);
    return 0;
}
