/* sweep.js - the arms of a sweep: their scores, and how far each is from the baseline. */
'use strict';
