/* page_files.h - the files of the page, which the build puts into the program (embed.c). */
#ifndef HEPAFLOW_REPORT_PAGE_FILES_H
#define HEPAFLOW_REPORT_PAGE_FILES_H

extern const char page_html[], page_css[], page_js[];

#endif
