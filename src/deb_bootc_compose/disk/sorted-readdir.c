/*
 * readdir() in the order of names, to be preloaded into mkfs.xfs, which numbers inodes as it meets them: a file system's own
 * order depends on a seed of the host's. One thread; what is read is kept until closedir().
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct listing {
	DIR *dir;
	struct dirent64 **entries;
	size_t count, next;
	struct listing *below;
};

static struct listing *top;

static void *need(void *pointer)
{
	if (pointer == NULL)
		abort();
	return pointer;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct dirent64 *const *)a)->d_name, (*(struct dirent64 *const *)b)->d_name);
}

static struct listing *read_all(DIR *dir)
{
	struct dirent64 *(*next)(DIR *) = need(dlsym(RTLD_NEXT, "readdir64"));
	struct listing *made = need(calloc(1, sizeof *made));
	struct dirent64 *entry;

	errno = 0;
	while ((entry = next(dir)) != NULL) {
		made->entries = need(realloc(made->entries, (made->count + 1) * sizeof *made->entries));
		made->entries[made->count++] = memcpy(need(malloc(entry->d_reclen)), entry, entry->d_reclen);
	}
	if (errno != 0)
		abort();
	if (made->count > 1)
		qsort(made->entries, made->count, sizeof *made->entries, by_name);
	made->dir = dir;
	made->below = top;
	return top = made;
}

struct dirent64 *readdir64(DIR *dir)
{
	struct listing *found = top;

	while (found != NULL && found->dir != dir)
		found = found->below;
	if (found == NULL)
		found = read_all(dir);
	return found->next < found->count ? found->entries[found->next++] : NULL;
}

int closedir(DIR *dir)
{
	int (*close)(DIR *) = need(dlsym(RTLD_NEXT, "closedir"));
	struct listing **place = &top, *found;

	while (*place != NULL && (*place)->dir != dir)
		place = &(*place)->below;
	if ((found = *place) != NULL) {
		*place = found->below;
		while (found->count > 0)
			free(found->entries[--found->count]);
		free(found->entries);
		free(found);
	}
	return close(dir);
}
