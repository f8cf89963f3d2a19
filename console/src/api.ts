// SPDX-License-Identifier: Apache-2.0
// api.ts -- the hub's answers as types (docs/rest.md) and the addresses the pages ask for.
import { useEffect, useState } from "preact/hooks";
import { call } from "./http";
import { useResource, useTopic, type Resource } from "./live";

export interface List<T> {
    items: T[];
    next: string | null;
}

export interface Summary {
    devices: { total: number; online: number };
    models: number;
    queue: number;
    labelled: number;
    records: number;
    duplicates: number;
    alerts: number;
    sentence: string;
}

export interface Running {
    name: string;
    version: number | string;
    state: string;
    restarts?: number;
}

export interface Device {
    id: string;
    online: boolean;
    last_seen: string | null;
    gen: number;
    desired_gen: number;
    state: string;
    reason: string | null;
    agent: string | null;
    cpu: string | null;
    models: Running[];
    functions: Running[];
    fps: number | null;
    last: { label: string; score: number; ts: string } | null;
    records: number;
}

export interface PredictionEvent {
    device: string;
    label: string;
    score: number;
    ts: string;
    fps: number | null;
}

export interface PictureEvent {
    device: string;
    ts: string;
}

export interface GateRow {
    name: string;
    value: number | null; // null: could not be computed
    limit: number | null;
    passed: boolean;
    text?: string;
}

export interface ModelVersion {
    version: number;
    sha256: string;
    size: number;
    format: string;
    created: string;
    metrics: Record<string, unknown> | null;
    gate: { passed?: boolean; rows?: GateRow[] } | null;
    note: string | null;
    deployed: number;
}

export interface Model {
    name: string;
    versions: ModelVersion[];
}

export interface Deployment {
    id: string;
    created: string;
    models: { name: string; version: number }[];
    functions: { name: string; version: number }[];
    devices: { id: string; gen: number; state: string; reason: string | null }[];
    done: number;
    total: number;
}

export interface Sample {
    id: string;
    device: string | null;
    ts: string;
    label: string | null;
    score: number | null;
    state: string;
    meta: { top?: [string, number][] } | null;
}

export interface Dataset {
    name: string;
    versions: { version: number; classes: Record<string, number> }[];
}

export const pathOf = (...parts: (string | number)[]) =>
    "/api/v1/" + parts.map((part) => encodeURIComponent(String(part))).join("/");

export const samplePicture = (id: string) => pathOf("samples", id, "picture");

/** The time in the address makes the browser fetch again when there is a new picture. */
export const devicePicture = (id: string, time: string) =>
    `${pathOf("devices", id, "picture")}?ts=${encodeURIComponent(time)}`;

/** All devices; each `device` event replaces its one. */
export function useDevices(): Resource<Device[]> {
    const list = useResource<List<Device>>("/api/v1/devices?limit=1000", []);
    const [items, setItems] = useState<Device[]>();
    useEffect(() => setItems(list.data?.items), [list.data]);
    useTopic<Device>("device", (device) =>
        setItems((old) => {
            if (old === undefined || typeof device.id !== "string") {
                return old;
            }
            const known = old.some((one) => one.id === device.id);
            return known
                ? old.map((one) => (one.id === device.id ? { ...one, ...device } : one))
                : [...old, device].sort((a, b) => a.id.localeCompare(b.id));
        }),
    );
    return { data: items, error: list.error, reload: list.reload };
}

const NUMBERS = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/** The classes to offer: those of the data sets, the models and the devices' own guesses. Where these are all digits
 * (or none is known yet) all ten digits are offered, so that a class no model knows yet can be labelled too. */
export function classNames(datasets: Dataset[], models: Model[], samples: Sample[]): string[] {
    const names = new Set<string>();
    for (const dataset of datasets) {
        dataset.versions.forEach((version) => Object.keys(version.classes).forEach((name) => names.add(name)));
    }
    for (const version of models.flatMap((model) => model.versions)) {
        const labels = version.metrics?.["labels"];
        if (Array.isArray(labels)) {
            labels.forEach((label) => names.add(String(label)));
        }
    }
    for (const sample of samples) {
        if (sample.label) {
            names.add(sample.label);
        }
        sample.meta?.top?.forEach(([name]) => names.add(name));
    }
    if ([...names].every((name) => NUMBERS.includes(name))) {
        return NUMBERS;
    }
    return [...names].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
}

export const putLabel = (id: string, label: string) =>
    call<void>("POST", pathOf("samples", id, "label"), { label, by: "console" });

export const removeLabel = (id: string) => call<void>("DELETE", pathOf("samples", id, "label"));

export const deploy = (name: string, version: number, devices: string[] | "all") =>
    call<{ id: string }>("POST", "/api/v1/deployments", { devices, models: [{ name, version }], functions: [] });

export const undoDeployment = (id: string) => call<{ id: string }>("POST", pathOf("deployments", id, "undo"));
