// SPDX-License-Identifier: Apache-2.0
// live.ts -- one event stream for the whole tab, and data that is fetched again when the stream says it changed.
// The browser reconnects by itself and sends Last-Event-ID; the hub replays what was missed.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { call, Problem } from "./http";

export type Topic = "device" | "prediction" | "picture" | "sample" | "deployment" | "model";
const TOPICS: Topic[] = ["device", "prediction", "picture", "sample", "deployment", "model"];

type Handler = (data: unknown) => void;
const handlers = new Map<Topic, Set<Handler>>();
const onState = new Set<(connected: boolean) => void>();
let source: EventSource | null = null;

function dispatch(topic: Topic, event: MessageEvent<string>): void {
    let data: unknown;
    try {
        data = JSON.parse(event.data);
    } catch {
        return; // an event that is not JSON is not for us
    }
    handlers.get(topic)?.forEach((handler) => handler(data));
}

export function openStream(): void {
    closeStream();
    source = new EventSource("/api/v1/events", { withCredentials: true });
    source.onopen = () => onState.forEach((tell) => tell(true));
    source.onerror = () => onState.forEach((tell) => tell(false));
    for (const topic of TOPICS) {
        source.addEventListener(topic, (event) => dispatch(topic, event as MessageEvent<string>));
    }
}

export function closeStream(): void {
    source?.close();
    source = null;
}

/** True once the stream is open, false while the browser tries again. */
export function useConnected(): boolean {
    const [connected, setConnected] = useState(source?.readyState === EventSource.OPEN);
    useEffect(() => {
        onState.add(setConnected);
        return () => void onState.delete(setConnected);
    }, []);
    return connected;
}

/** Call handler for every event of a topic while the component is shown. */
export function useTopic<T>(topic: Topic, handler: (data: T) => void): void {
    const latest = useRef(handler);
    latest.current = handler;
    useEffect(() => {
        const run: Handler = (data) => latest.current(data as T);
        const set = handlers.get(topic) ?? new Set<Handler>();
        handlers.set(topic, set.add(run));
        return () => void set.delete(run);
    }, [topic]);
}

export interface Resource<T> {
    data: T | undefined;
    error: Problem | undefined;
    reload: () => void;
}

/** GET path now, and again (at most every 500 ms) when an event of one of the topics arrives. */
export function useResource<T>(path: string | null, topics: Topic[]): Resource<T> {
    const [data, setData] = useState<T>();
    const [error, setError] = useState<Problem>();
    const [turn, setTurn] = useState(0);
    const reload = useCallback(() => setTurn((n) => n + 1), []);
    useEffect(() => {
        if (path === null) {
            return;
        }
        let current = true;
        call<T>("GET", path).then(
            (answer) => {
                if (current) {
                    setData(answer);
                    setError(undefined);
                }
            },
            (problem: unknown) => {
                if (current) {
                    setError(problem instanceof Problem ? problem : new Problem(0, String(problem)));
                }
            },
        );
        return () => void (current = false);
    }, [path, turn]);
    const key = topics.join(",");
    useEffect(() => {
        let waiting: ReturnType<typeof setTimeout> | undefined;
        const changed = () => {
            waiting ??= setTimeout(() => {
                waiting = undefined;
                reload();
            }, 500);
        };
        const wanted = key === "" ? [] : (key.split(",") as Topic[]);
        for (const topic of wanted) {
            handlers.set(topic, (handlers.get(topic) ?? new Set<Handler>()).add(changed));
        }
        return () => {
            clearTimeout(waiting);
            wanted.forEach((topic) => handlers.get(topic)?.delete(changed));
        };
    }, [key, reload]);
    return { data, error, reload };
}
