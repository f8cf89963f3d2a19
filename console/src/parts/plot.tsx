// SPDX-License-Identifier: Apache-2.0
// plot.tsx -- a sparkline: one line, no axes. The number beside it says the same in words.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

export interface PlotProps {
    times: number[]; // seconds
    values: (number | null)[]; // null: not known
    title: string;
}

export function Plot({ times, values, title }: PlotProps) {
    const place = useRef<HTMLDivElement>(null);
    const plot = useRef<uPlot | null>(null);
    useEffect(() => {
        const box = place.current;
        if (box === null) {
            return;
        }
        const stroke = () => getComputedStyle(box).getPropertyValue("--main"); // asked at each drawing: the theme may change
        const made = new uPlot(
            {
                width: box.clientWidth,
                height: 64,
                legend: { show: false },
                cursor: { show: false },
                axes: [{ show: false }, { show: false }],
                scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
                series: [{}, { stroke, width: 2, points: { show: false } }],
            },
            [[], []],
            box,
        );
        plot.current = made;
        const watch = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height: 64 }));
        watch.observe(box);
        return () => {
            watch.disconnect();
            made.destroy();
            plot.current = null;
        };
    }, []);
    useEffect(() => plot.current?.setData([times, values]), [times, values]);
    return <div class="plot" ref={place} role="img" aria-label={title} />;
}
