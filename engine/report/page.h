/*
 * page.h - the report as a page: one HTML file that needs nothing else, which hf_report makes from
 * a folder that a run or a sweep has left.
 *
 * The folder's data are report.json or sweep.json; the pictures that they name by "file" lie below
 * the folder and are put into the page.
 */
#ifndef HEPAFLOW_REPORT_PAGE_H
#define HEPAFLOW_REPORT_PAGE_H

#define REPORT_DATA "report.json"
#define SWEEP_DATA  "sweep.json"
#define REPORT_PAGE "report.html"

#endif
