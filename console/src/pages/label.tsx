// SPDX-License-Identifier: Apache-2.0
// label.tsx -- one picture, one key. Digits choose, Z or Backspace takes the last one back; the next pictures are
// already loaded when they are needed. The queue is refilled before it runs dry.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import {
    classNames,
    putLabel,
    removeLabel,
    samplePicture,
    type Dataset,
    type List,
    type Model,
    type Sample,
    type Summary,
} from "../api";
import { call, Problem } from "../http";
import { useResource, useTopic } from "../live";
import { Empty, Failure } from "../parts/basics";
import { counted, percent } from "../words";

const AHEAD = 4;

interface Done {
    sample: Sample;
    label: string;
}

/** The pictures that wait, without those this page has shown already. */
function useQueue(fail: (problem: unknown) => void) {
    const [queue, setQueue] = useState<Sample[]>();
    const seen = useRef(new Set<string>());
    const filling = useRef(false);
    const refill = useCallback(async () => {
        if (filling.current) {
            return;
        }
        filling.current = true;
        try {
            // Labels still on their way are unlabelled for the hub: ask for as many more as may be in flight.
            const path = `/api/v1/samples?state=unlabelled&limit=${AHEAD * 8}`;
            const answer = await call<List<Sample>>("GET", path);
            const fresh = answer.items.filter((sample) => !seen.current.has(sample.id));
            fresh.forEach((sample) => seen.current.add(sample.id));
            setQueue((old) => [...(old ?? []), ...fresh]);
        } catch (problem) {
            fail(problem);
        } finally {
            filling.current = false;
        }
    }, []);
    useEffect(() => void refill(), [refill]);
    return { queue, setQueue, refill };
}

function NewClass({ onAdd }: { onAdd: (name: string) => void }) {
    const [name, setName] = useState("");
    const add = (event: Event) => {
        event.preventDefault();
        if (name.trim() !== "") {
            onAdd(name.trim());
            setName("");
        }
    };
    return (
        <details>
            <summary>Another class</summary>
            <form class="row" onSubmit={add}>
                <input
                    aria-label="Name of the class"
                    maxLength={64}
                    value={name}
                    onInput={(event) => setName(event.currentTarget.value)}
                />
                <button type="submit">Use it for this picture</button>
            </form>
        </details>
    );
}

export function Label() {
    const [done, setDone] = useState<Done[]>([]);
    const [said, setSaid] = useState("");
    const [error, setError] = useState<Problem>();
    const [added, setAdded] = useState<string[]>([]);
    const fail = useCallback(
        (problem: unknown) => setError(problem instanceof Problem ? problem : new Problem(0, String(problem))),
        [],
    );
    const { queue, setQueue, refill } = useQueue(fail);
    const summary = useResource<Summary>("/api/v1/summary", ["sample"]);
    const datasets = useResource<List<Dataset>>("/api/v1/datasets", []);
    const models = useResource<List<Model>>("/api/v1/models", []);
    const found = classNames(datasets.data?.items ?? [], models.data?.items ?? [], queue ?? []);
    const names = [...found, ...added.filter((name) => !found.includes(name))];
    const short = (queue?.length ?? 0) <= AHEAD;
    useTopic("sample", () => void (short && refill()));

    const choose = (label: string) => {
        const sample = queue?.[0];
        if (sample === undefined) {
            return;
        }
        setError(undefined);
        setQueue((old) => old?.filter((one) => one !== sample));
        setDone((old) => [...old, { sample, label }]);
        setSaid(`Labelled ${label}`);
        putLabel(sample.id, label).catch((problem: unknown) => {
            fail(problem);
            setDone((old) => old.filter((one) => one.sample !== sample));
            setQueue((old) => [sample, ...(old ?? [])]);
        });
        if (short) {
            void refill();
        }
    };
    const undo = () => {
        const last = done[done.length - 1];
        if (last === undefined) {
            return;
        }
        setDone((old) => old.filter((one) => one !== last));
        removeLabel(last.sample.id).then(() => {
            setQueue((old) => [last.sample, ...(old ?? [])]);
            setSaid(`Took back ${last.label}`);
        }, (problem: unknown) => {
            fail(problem);
            setDone((old) => [...old, last]);
        });
    };

    const press = (event: KeyboardEvent) => {
        const typing = event.target instanceof HTMLInputElement;
        if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) {
            return;
        }
        if (event.key === "z" || event.key === "Z" || event.key === "Backspace") {
            event.preventDefault();
            undo();
        } else if (/^[0-9]$/.test(event.key)) {
            const name = names[Number(event.key)];
            if (name !== undefined) {
                choose(name);
            }
        }
    };
    const latest = useRef(press);
    latest.current = press;
    useEffect(() => {
        const run = (event: KeyboardEvent) => latest.current(event);
        addEventListener("keydown", run);
        return () => removeEventListener("keydown", run);
    }, []);

    const sample = queue?.[0];
    return (
        <div class="label-page">
            <div class="row apart">
                <h1>Label</h1>
                <p class="quiet">
                    <span data-role="left">{summary.data?.queue ?? "-"}</span> left ·{" "}
                    <span data-role="done">{done.length}</span> done
                </p>
            </div>
            <Failure error={error} />
            {sample !== undefined ? (
                <>
                    <img
                        class="picture"
                        data-sample={sample.id}
                        src={samplePicture(sample.id)}
                        alt="Picture to label"
                    />
                    <p class="quiet">
                        {sample.label === null
                            ? "No model has looked at it."
                            : `${sample.device ?? "A model"} said ${sample.label}, ${percent(sample.score, 0)} sure.`}
                    </p>
                    <div class="keys" role="group" aria-label="Classes">
                        {names.map((name, i) => (
                            <button key={name} type="button" data-label={name} onClick={() => choose(name)}>
                                {name}
                                {i < 10 ? <span class="key">key {i}</span> : null}
                            </button>
                        ))}
                    </div>
                    <NewClass
                        onAdd={(name) => {
                            setAdded((old) => [...old, name]);
                            choose(name);
                        }}
                    />
                </>
            ) : queue !== undefined ? (
                <Empty
                    title={done.length > 0 ? `Done: ${counted(done.length, "picture")} labelled` : "Nothing to label"}
                >
                    <p>
                        Devices send the pictures that their model was unsure about. They appear here by themselves. When
                        enough are labelled, freeze them into a data set: <code>ledge dataset freeze NAME</code>.
                    </p>
                </Empty>
            ) : null}
            <div class="row">
                <button type="button" disabled={done.length === 0} onClick={undo}>
                    Undo <span class="quiet">Z</span>
                </button>
                <p class="quiet" aria-live="polite" data-role="said">
                    {said}
                </p>
            </div>
            {queue?.slice(1, 1 + AHEAD).map((next) => (
                <img key={next.id} class="preload" src={samplePicture(next.id)} alt="" aria-hidden="true" />
            ))}
        </div>
    );
}
