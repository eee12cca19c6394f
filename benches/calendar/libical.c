/* Answers the same question with libical: read all events of some files, and count the occurrences that overlap a window.
 * Reads a single file as libical's own examples do: line by line, through its parser. */
#include <dirent.h>
#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static long long claimed;

static void count(icalcomponent *event, struct icaltime_span *span, void *data) {
    (void)event;
    (void)span;
    (void)data;
    claimed++;
}

static char *read_line(char *into, size_t size, void *file) { return fgets(into, (int)size, file); }

static void read_file(const char *path, struct icaltimetype from, struct icaltimetype to) {
    FILE *file = fopen(path, "r");
    if (!file) exit(1);
    icalparser *parser = icalparser_new();
    icalparser_set_gen_data(parser, file);
    icalcomponent *calendar = icalparser_parse(parser, read_line);
    icalparser_free(parser);
    fclose(file);
    if (!calendar) exit(1);
    icalcomponent *event = icalcomponent_get_first_component(calendar, ICAL_VEVENT_COMPONENT);
    for (; event; event = icalcomponent_get_next_component(calendar, ICAL_VEVENT_COMPONENT))
        icalcomponent_foreach_recurrence(event, from, to, count, NULL);
    icalcomponent_free(calendar);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    struct icaltimetype from = icaltime_from_string(argv[2]), to = icaltime_from_string(argv[3]);
    struct stat status;
    if (stat(argv[1], &status)) return 1;
    if (!S_ISDIR(status.st_mode)) {
        read_file(argv[1], from, to);
    } else {
        DIR *folder = opendir(argv[1]);
        for (struct dirent *entry; (entry = readdir(folder));) {
            char path[4096];
            if (entry->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
            read_file(path, from, to);
        }
        closedir(folder);
    }
    /* The peak of resident memory, in kB. */
    FILE *own = fopen("/proc/self/status", "r");
    long peak = 0;
    for (char line[256]; own && fgets(line, sizeof line, own);) sscanf(line, "VmHWM: %ld", &peak);
    printf("%lld %ld\n", claimed, peak);
    return 0;
}
