/* files.h - the files that a graph is made of. */
#ifndef HEPAFLOW_GRAPH_FILES_H
#define HEPAFLOW_GRAPH_FILES_H

#include "engine.h"

/*
 * Tells each file of the graph: its own, those that are included, be they there or not, and those
 * that values of stages name: there, or of a name as files have them. No module is opened. False if
 * that may not be all of them: the graph cannot be read, or there is no memory.
 */
bool graph_files(const char *path, const char *const *sets, int count,
                 void (*tell)(void *arg, const char *file), void *arg);

#endif
