// SPDX-License-Identifier: Apache-2.0
// home.tsx -- the fleet in one sentence, and what waits for a person.
import type { Deployment, Device, List, Model, Summary } from "../api";
import { useDevices } from "../api";
import { useResource } from "../live";
import { Failure } from "../parts/basics";
import { linkTo } from "../router";
import { ago, counted } from "../words";
import { JoinHelp } from "./live";
import { newestReady } from "./models";

interface Todo {
    text: string;
    why: string;
    href: string;
}

function todoOf(summary: Summary, devices: Device[], models: Model[], deployments: Deployment[]): Todo[] {
    const list: Todo[] = [];
    if (summary.queue > 0) {
        list.push({
            text: `Label ${counted(summary.queue, "picture")}`,
            why: "the devices were unsure",
            href: linkTo("label"),
        });
    }
    for (const model of models) {
        const ready = newestReady(model);
        if (ready !== undefined) {
            list.push({
                text: `Deploy ${model.name} v${ready.version}`,
                why: ready.gate?.passed === true ? "it passed its gate" : "it runs nowhere yet",
                href: linkTo("models", model.name),
            });
        }
    }
    for (const device of devices) {
        if (!device.online) {
            list.push({
                text: `Look after ${device.id}`,
                why: `last seen ${ago(device.last_seen)}`,
                href: linkTo("devices", device.id),
            });
        } else if (device.reason) {
            list.push({ text: `Look at ${device.id}`, why: device.reason, href: linkTo("devices", device.id) });
        }
    }
    const open = deployments.filter((one) => one.done < one.total).length;
    if (open > 0) {
        list.push({
            text: `Watch ${counted(open, "roll-out")}`,
            why: "not all devices have confirmed",
            href: linkTo("models"),
        });
    }
    return list;
}

export function Home() {
    const summary = useResource<Summary>("/api/v1/summary", ["device", "sample", "deployment", "model"]);
    const models = useResource<List<Model>>("/api/v1/models", ["model", "deployment"]);
    const deployments = useResource<List<Deployment>>("/api/v1/deployments?limit=20", ["deployment"]);
    const devices = useDevices();
    const known = summary.data;
    const todo = known
        ? todoOf(known, devices.data ?? [], models.data?.items ?? [], deployments.data?.items ?? [])
        : [];
    return (
        <>
            <h1>Home</h1>
            <Failure error={summary.error ?? models.error ?? devices.error} />
            <p class="lead" aria-live="polite" data-role="sentence">
                {known?.sentence ?? ""}
            </p>
            <div class="stack">
                {known?.devices.total === 0 ? <JoinHelp title="Let the first one join" /> : null}
                <section>
                    <h2>To do</h2>
                    {todo.length === 0 && known !== undefined ? (
                        <p class="quiet">Nothing waits for you.</p>
                    ) : (
                        <ul class="todo">
                            {todo.map((item) => (
                                <li key={item.text}>
                                    <a href={item.href}>
                                        <strong>{item.text}</strong>
                                        <span class="quiet">{item.why}</span>
                                    </a>
                                </li>
                            ))}
                        </ul>
                    )}
                </section>
                {known === undefined ? null : (
                    <section class="card">
                        <h2>So far</h2>
                        <dl class="facts">
                            <dt>Devices</dt>
                            <dd>
                                {known.devices.online} of {known.devices.total} online
                            </dd>
                            <dt>Records stored</dt>
                            <dd>
                                {known.records} ({known.duplicates} sent twice, stored once)
                            </dd>
                            <dt>Pictures labelled</dt>
                            <dd>{known.labelled}</dd>
                            <dt>Alerts</dt>
                            <dd>{known.alerts}</dd>
                        </dl>
                    </section>
                )}
            </div>
        </>
    );
}
