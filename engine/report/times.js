/* times.js - when each job ran. */
'use strict';

function makeTimes(jobs, total) {
    const end = Math.max(total || 0, ...jobs.map(j => (j.start || 0) + (j.seconds || 0)), 1e-9);
    const device = jobs.some(j => isNumber(j.memory_device));
    const rows = jobs.map((job, j) => {
        const bar = isNumber(job.start) ? el('span', {class: 'bar', 'aria-hidden': 'true',
            style: `--job:${colourOf(j)};margin-left:${(100 * job.start / end).toFixed(2)}%;` +
                `width:${(100 * job.seconds / end).toFixed(2)}%`}) : null;
        return [job.name, {value: job.start, node: el('span', {class: 'lane'}, bar)}, job.state,
            {value: job.start, node: showSeconds(job.start)}, {value: job.seconds, node: showSeconds(job.seconds)},
            {value: job.memory_cpu, node: showBytes(job.memory_cpu)},
            ...(device ? [{value: job.memory_device, node: showBytes(job.memory_device)}] : [])];
    });
    return makeTable({
        label: 'Times',
        columns: [{name: 'job'}, {name: 'when'}, {name: 'state'}, {name: 'began after'}, {name: 'took'},
            {name: 'memory, CPU', help: 'The most that the device had handed out while the job ran'},
            ...(device ? [{name: 'memory, GPU'}] : [])],
        rows,
    });
}
