// SPDX-License-Identifier: Apache-2.0
// models.tsx -- versions of each model, what its gate said, and the button that puts one on the fleet.
import { useState } from "preact/hooks";
import {
    deploy,
    undoDeployment,
    useDevices,
    type Deployment,
    type List,
    type Model,
    type ModelVersion,
} from "../api";
import { useResource } from "../live";
import { Command, Confirm, Empty, Failure, State } from "../parts/basics";
import { ago, bytes, counted, figure, percent, shortDigest } from "../words";

/** The newest version, when it runs nowhere and its gate did not refuse it. */
export function newestReady(model: Model): ModelVersion | undefined {
    const newest = model.versions.reduce<ModelVersion | undefined>(
        (best, one) => (best === undefined || one.version > best.version ? one : best),
        undefined,
    );
    return newest !== undefined && newest.deployed === 0 && newest.gate?.passed !== false ? newest : undefined;
}

function gateWord(version: ModelVersion): string {
    const passed = version.gate?.passed;
    return passed === undefined ? "no gate" : passed ? "passed" : "failed";
}

/** Top-1 as `ledge evaluate --json` names it. */
function accuracyOf(version: ModelVersion): number | undefined {
    const value = version.metrics?.["top1"] ?? version.metrics?.["accuracy"];
    return typeof value === "number" ? value : undefined;
}

function Report({ version }: { version: ModelVersion }) {
    const rows = version.gate?.rows ?? [];
    const numbers = Object.entries(version.metrics ?? {}).filter(
        (entry): entry is [string, number] => typeof entry[1] === "number",
    );
    return (
        <details>
            <summary>Gate report of v{version.version}</summary>
            {rows.length === 0 ? <p class="quiet">This version came without a gate report.</p> : null}
            {rows.length > 0 ? (
                <div class="scroll">
                    <table class="fold">
                        <thead>
                            <tr>
                                <th>Gate</th>
                                <th class="number">Measured</th>
                                <th class="number">Limit</th>
                                <th>Result</th>
                            </tr>
                        </thead>
                        <tbody>
                            {rows.map((row) => (
                                <tr key={row.name}>
                                    <td class="whole">{row.text ?? row.name}</td>
                                    <td class="number" data-name="Measured">
                                        {figure(row.value)}
                                    </td>
                                    <td class="number" data-name="Limit">
                                        {figure(row.limit)}
                                    </td>
                                    <td>
                                        <State value={row.passed ? "passed" : "failed"} />
                                    </td>
                                </tr>
                            ))}
                        </tbody>
                    </table>
                </div>
            ) : null}
            <dl class="facts">
                {numbers.map(([name, value]) => [
                    <dt key={`${name}-name`}>{name}</dt>,
                    <dd key={`${name}-value`}>{figure(value)}</dd>,
                ])}
                <dt>digest</dt>
                <dd class="mono">{version.sha256}</dd>
            </dl>
        </details>
    );
}

function Version({ model, version, onDeploy }: { model: Model; version: ModelVersion; onDeploy: () => void }) {
    return (
        <tr data-version={version.version}>
            <td class="whole">
                <strong>v{version.version}</strong>
                <div class="quiet">{ago(version.created)}</div>
                <div class="quiet mono only-wide">{shortDigest(version.sha256)}</div>
                {version.note ? <div class="quiet">{version.note}</div> : null}
            </td>
            <td class="number" data-name="Top-1">
                {percent(accuracyOf(version))}
            </td>
            <td class="number only-wide">{bytes(version.size)}</td>
            <td>
                <State value={gateWord(version)} />
            </td>
            <td class="number" data-role="deployed" data-name="Devices">
                {version.deployed}
            </td>
            <td class="end">
                <button
                    class={newestReady(model) === version ? "main" : ""}
                    type="button"
                    aria-label={`Deploy ${model.name} version ${version.version}`}
                    onClick={onDeploy}
                >
                    Deploy
                </button>
            </td>
        </tr>
    );
}

function Rollouts({ items }: { items: Deployment[] }) {
    const [undo, setUndo] = useState<Deployment>();
    if (items.length === 0) {
        return null;
    }
    return (
        <section class="card">
            <h2>Roll-outs</h2>
            <div class="scroll">
                <table class="fold">
                    <thead>
                        <tr>
                            <th>What</th>
                            <th>When</th>
                            <th class="number">Confirmed</th>
                            <th>Devices</th>
                            <th />
                        </tr>
                    </thead>
                    <tbody>
                        {items.map((one) => (
                            <tr key={one.id} data-deployment={one.id}>
                                <td>
                                    {[...one.models, ...one.functions]
                                        .map((part) => `${part.name} v${part.version}`)
                                        .join(", ")}
                                </td>
                                <td class="quiet">{ago(one.created)}</td>
                                <td class="number" data-role="done">
                                    {one.done} of {one.total}
                                </td>
                                <td class="whole">
                                    {one.devices.map((device) => (
                                        <div key={device.id}>
                                            {device.id} <State value={device.state.toLowerCase()} /> {device.reason}
                                        </div>
                                    ))}
                                </td>
                                <td class="end">
                                    <button type="button" onClick={() => setUndo(one)}>
                                        Undo
                                    </button>
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
            {undo === undefined ? null : (
                <Confirm
                    title="Undo this roll-out?"
                    action="Undo it"
                    onYes={async () => void (await undoDeployment(undo.id))}
                    onClose={() => setUndo(undefined)}
                >
                    <p>Each device gets back what it ran before. Requests are served all the while.</p>
                </Confirm>
            )}
        </section>
    );
}

export function Models({ only }: { only: string | undefined }) {
    const models = useResource<List<Model>>("/api/v1/models", ["model", "deployment", "device"]);
    const rollouts = useResource<List<Deployment>>("/api/v1/deployments?limit=10", ["deployment"]);
    const devices = useDevices();
    const [asked, setAsked] = useState<{ model: Model; version: ModelVersion }>();
    const shown = models.data?.items.filter((model) => only === undefined || model.name === only);
    return (
        <>
            <h1>Models</h1>
            <Failure error={models.error ?? rollouts.error} />
            {shown?.length === 0 ? (
                <Empty title="No model yet">
                    <p>Train one, check it, and put it into the registry:</p>
                    <Command
                        text={
                            "ledge train RECIPE.yaml\nledge quantize MODEL.onnx --data DATA -o SMALL.onnx\n" +
                            "ledge evaluate SMALL.onnx --data DATA --gate GATE.yaml\nledge model push NAME SMALL.onnx"
                        }
                    />
                </Empty>
            ) : null}
            <div class="stack">
                {shown?.map((model) => (
                    <section class="card" key={model.name} data-model={model.name}>
                        <h2>{model.name}</h2>
                        <div class="scroll">
                            <table class="fold">
                                <thead>
                                    <tr>
                                        <th>Version</th>
                                        <th class="number">Top-1</th>
                                        <th class="number only-wide">Size</th>
                                        <th>Gate</th>
                                        <th class="number">Devices</th>
                                        <th />
                                    </tr>
                                </thead>
                                <tbody>
                                    {[...model.versions]
                                        .sort((a, b) => b.version - a.version)
                                        .map((version) => (
                                            <Version
                                                key={version.version}
                                                model={model}
                                                version={version}
                                                onDeploy={() => setAsked({ model, version })}
                                            />
                                        ))}
                                </tbody>
                            </table>
                        </div>
                        {[...model.versions]
                            .sort((a, b) => b.version - a.version)
                            .map((version) => (
                                <Report key={version.version} version={version} />
                            ))}
                    </section>
                ))}
                <Rollouts items={rollouts.data?.items ?? []} />
            </div>
            {asked === undefined ? null : (
                <Confirm
                    title={`Deploy ${asked.model.name} v${asked.version.version}?`}
                    action={`Deploy to ${counted(devices.data?.length ?? 0, "device")}`}
                    onYes={async () => {
                        await deploy(asked.model.name, asked.version.version, "all");
                        rollouts.reload();
                    }}
                    onClose={() => setAsked(undefined)}
                >
                    <p>
                        Every device tries it beside the version it runs, and keeps the old one when the new one does not
                        come up healthy.
                    </p>
                    {asked.version.gate?.passed === false ? (
                        <p class="notice bad">This version did not pass its gate.</p>
                    ) : null}
                </Confirm>
            )}
        </>
    );
}
