// SPDX-License-Identifier: Apache-2.0
// devices.tsx -- state, generation, what runs, and the log of each function.
import { useEffect, useRef, useState } from "preact/hooks";
import { pathOf, useDevices, type Device } from "../api";
import { useResource } from "../live";
import { Failure, State } from "../parts/basics";
import { linkTo } from "../router";
import { ago } from "../words";
import { JoinHelp } from "./live";

interface Lines {
    lines: { ts: number | string; text: string }[];
}

function Log({ device }: { device: Device }) {
    const [wanted, setWanted] = useState<string>();
    const path = wanted === undefined ? null : `${pathOf("devices", device.id, "logs")}?function=${encodeURIComponent(wanted)}&limit=200`;
    const log = useResource<Lines>(path, []);
    const shown = useRef<HTMLPreElement>(null);
    useEffect(() => shown.current?.scrollTo(0, shown.current.scrollHeight), [log.data]); // the newest lines
    return (
        <section class="card">
            <h2>Log</h2>
            <div class="row">
                {device.functions.map((one) => (
                    <button
                        key={one.name}
                        type="button"
                        aria-pressed={wanted === one.name}
                        onClick={() => (wanted === one.name ? log.reload() : setWanted(one.name))}
                    >
                        {wanted === one.name ? `Fetch ${one.name} again` : one.name}
                    </button>
                ))}
            </div>
            {device.functions.length === 0 ? <p class="quiet">This device runs no function.</p> : null}
            <Failure error={log.error} />
            {log.data === undefined ? null : (
                <pre ref={shown} data-role="log" tabIndex={0} aria-label={`Log of ${wanted ?? ""}`}>
                    {log.data.lines.length === 0
                        ? "It has written nothing."
                        : log.data.lines.map((line) => line.text).join("\n")}
                </pre>
            )}
        </section>
    );
}

function Facts({ device }: { device: Device }) {
    return (
        <section class="card">
            <div class="row apart">
                <h2>{device.id}</h2>
                <State value={device.online ? "online" : "offline"} />
            </div>
            {device.reason ? <p class="notice warn">{device.reason}</p> : null}
            <dl class="facts">
                <dt>State</dt>
                <dd data-role="state">
                    <State value={device.state.toLowerCase()} />
                </dd>
                <dt>Generation</dt>
                <dd data-role="generation">
                    {device.gen}
                    {device.desired_gen !== device.gen ? ` (${device.desired_gen} wanted)` : ""}
                </dd>
                <dt>Last seen</dt>
                <dd>{ago(device.last_seen)}</dd>
                <dt>Agent</dt>
                <dd>{[device.agent, device.cpu].filter(Boolean).join(", ") || "-"}</dd>
                <dt>Records</dt>
                <dd>{device.records}</dd>
                {device.models.map((one) => [
                    <dt key={`m-${one.name}`}>Model</dt>,
                    <dd key={`md-${one.name}`} data-role="model">
                        {one.name} v{one.version} <State value={one.state.toLowerCase()} />
                    </dd>,
                ])}
                {device.functions.map((one) => [
                    <dt key={`f-${one.name}`}>Function</dt>,
                    <dd key={`fd-${one.name}`}>
                        {one.name} v{one.version} <State value={one.state.toLowerCase()} />
                        {one.restarts ? ` restarted ${one.restarts} times` : ""}
                    </dd>,
                ])}
            </dl>
        </section>
    );
}

export function Devices({ only }: { only: string | undefined }) {
    const devices = useDevices();
    const one = devices.data?.find((device) => device.id === only);
    return (
        <>
            <h1>{only === undefined ? "Devices" : <a href={linkTo("devices")}>Devices</a>}</h1>
            <Failure error={devices.error} />
            {devices.data?.length === 0 ? <JoinHelp /> : null}
            {only !== undefined && devices.data !== undefined && one === undefined ? (
                <p class="notice warn">No device is named {only}.</p>
            ) : null}
            {one !== undefined ? (
                <div class="stack">
                    <Facts device={one} />
                    <Log device={one} />
                </div>
            ) : only === undefined && devices.data !== undefined && devices.data.length > 0 ? (
                <div class="card scroll">
                    <table class="fold">
                        <thead>
                            <tr>
                                <th>Device</th>
                                <th>State</th>
                                <th class="number">Generation</th>
                                <th>Model</th>
                                <th class="only-wide">Last seen</th>
                            </tr>
                        </thead>
                        <tbody>
                            {devices.data.map((device) => (
                                <tr key={device.id} data-device={device.id}>
                                    <td>
                                        <a href={linkTo("devices", device.id)}>{device.id}</a>
                                    </td>
                                    <td>
                                        <State value={device.online ? "online" : "offline"} /> <State value={device.state.toLowerCase()} />
                                    </td>
                                    <td class="number" data-name="Generation">
                                        {device.gen}
                                        {device.desired_gen !== device.gen ? ` of ${device.desired_gen}` : ""}
                                    </td>
                                    <td>{device.models.map((model) => `${model.name} v${model.version}`).join(", ") || "-"}</td>
                                    <td class="only-wide">{ago(device.last_seen)}</td>
                                </tr>
                            ))}
                        </tbody>
                    </table>
                </div>
            ) : null}
        </>
    );
}
