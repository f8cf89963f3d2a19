// SPDX-License-Identifier: Apache-2.0
// live.tsx -- for each device: its last picture, what the model said, how sure it was, frames per second.
import { useEffect, useRef, useState } from "preact/hooks";
import { devicePicture, useDevices, type Device, type PictureEvent, type PredictionEvent } from "../api";
import { useTopic } from "../live";
import { Command, Empty, Failure, State } from "../parts/basics";
import { Plot } from "../parts/plot";
import { linkTo } from "../router";
import { ago, percent } from "../words";

const WINDOW = 60; // seconds of the sparkline

/** The rate each second of the last WINDOW, oldest first: null before this page was opened, 0 when the device has said
 * nothing for 3 s. */
function useRate(device: Device, latest: PredictionEvent | undefined) {
    const [rates, setRates] = useState<(number | null)[]>(() => [
        ...new Array<null>(WINDOW - 1).fill(null),
        device.fps ?? 0,
    ]);
    const now = useRef({ rate: device.fps ?? 0, heard: Date.now() });
    useEffect(() => {
        if (latest !== undefined) {
            now.current = { rate: latest.fps ?? device.fps ?? 0, heard: Date.now() };
        }
    }, [latest, device.fps]);
    useEffect(() => {
        const tick = setInterval(() => {
            const rate = Date.now() - now.current.heard > 3000 ? 0 : now.current.rate;
            setRates((old) => [...old.slice(1), rate]);
        }, 1000);
        return () => clearInterval(tick);
    }, []);
    return rates;
}

const TIMES = Array.from({ length: WINDOW }, (_none, i) => i - WINDOW + 1);

function Picture({ device }: { device: Device }) {
    const [time, setTime] = useState(device.last?.ts ?? "");
    const [broken, setBroken] = useState(false);
    useTopic<PictureEvent>("picture", (event) => {
        if (event.device === device.id) {
            setTime(event.ts);
            setBroken(false);
        }
    });
    if (broken) {
        return <div class="picture nothing">no picture yet</div>;
    }
    return (
        <img
            class="picture"
            src={devicePicture(device.id, time)}
            alt={`Last picture of ${device.id}`}
            onError={() => setBroken(true)}
        />
    );
}

function Tile({ device }: { device: Device }) {
    const [latest, setLatest] = useState<PredictionEvent>();
    useTopic<PredictionEvent>("prediction", (event) => {
        if (event.device === device.id) {
            setLatest(event);
        }
    });
    const rates = useRate(device, latest);
    const rate = rates[WINDOW - 1] ?? 0;
    const last = latest ?? device.last;
    const model = device.models[0];
    return (
        <section class="card" data-device={device.id} aria-labelledby={`live-${device.id}`}>
            <div class="row apart">
                <h2 id={`live-${device.id}`}>
                    <a href={linkTo("devices", device.id)}>{device.id}</a>
                </h2>
                <State value={device.online ? "online" : "offline"} />
            </div>
            <Picture device={device} />
            <p class="big" aria-live="polite" aria-atomic="true">
                <span data-role="top1">{last?.label ?? "-"}</span>{" "}
                <span class="quiet" data-role="score">
                    {last ? percent(last.score) : ""}
                </span>
            </p>
            <meter min={0} max={1} value={last?.score ?? 0} aria-label="Confidence" />
            <p class="quiet">
                <span data-role="rate">{rate.toFixed(1)}</span> frames/s ·{" "}
                <span data-role="model">{model ? `${model.name} v${model.version}` : "no model"}</span> · {ago(last?.ts)}
            </p>
            <Plot times={TIMES} values={rates} title={`Frames per second, last minute, now ${rate.toFixed(1)}`} />
        </section>
    );
}

export function JoinHelp({ title = "No device has joined yet" }: { title?: string }) {
    return (
        <Empty title={title}>
            <p>Make a one-time token, then enrol the device with it and start its agent:</p>
            <Command
                text={`ledge device token cam-1\nledge-agent enroll --hub ${location.origin} --token TOKEN\nledge-agent run`}
            />
            <p class="quiet">It appears here by itself.</p>
        </Empty>
    );
}

export function Live() {
    const devices = useDevices();
    return (
        <>
            <h1>Live</h1>
            <Failure error={devices.error} />
            {devices.data?.length === 0 ? (
                <JoinHelp />
            ) : (
                <div class="cards">
                    {devices.data?.map((device) => <Tile key={device.id} device={device} />)}
                </div>
            )}
        </>
    );
}
