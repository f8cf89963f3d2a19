// SPDX-License-Identifier: Apache-2.0
// words.ts -- numbers and times as people read them.

export function percent(value: number | null | undefined, digits = 1): string {
    return value === null || value === undefined ? "-" : `${(value * 100).toFixed(digits)} %`;
}

/** A whole number as it is, another in five figures without zeros at the end. */
export function figure(value: number | null): string {
    if (value === null) {
        return "-";
    }
    return String(Number.isInteger(value) ? value : Number(value.toPrecision(5)));
}

export function bytes(value: number | null | undefined): string {
    if (value === null || value === undefined) {
        return "-";
    }
    const units = ["B", "KB", "MB", "GB"];
    let step = 0;
    let left = value;
    while (left >= 1000 && step < units.length - 1) {
        left /= 1000;
        step++;
    }
    return `${step === 0 ? left : left.toFixed(1)} ${units[step]}`;
}

export function counted(n: number, one: string, many = `${one}s`): string {
    return `${n} ${n === 1 ? one : many}`;
}

/** Time since an RFC 3339 time, in words. */
export function ago(time: string | null | undefined, now = Date.now()): string {
    const at = time ? Date.parse(time) : NaN;
    if (Number.isNaN(at)) {
        return "never";
    }
    const seconds = Math.max(0, Math.round((now - at) / 1000));
    if (seconds < 5) {
        return "just now";
    }
    if (seconds < 90) {
        return `${seconds} s ago`;
    }
    if (seconds < 5400) {
        return `${Math.round(seconds / 60)} min ago`;
    }
    return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}

export function shortDigest(digest: string | null | undefined): string {
    return digest ? digest.replace(/^sha256:/, "").slice(0, 12) : "-";
}
