// SPDX-License-Identifier: Apache-2.0
// basics.tsx -- the small parts that every page uses.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../http";

export function Failure({ error }: { error: Problem | undefined }) {
    return error === undefined ? null : (
        <p class="notice bad" role="alert">
            {error.message}
        </p>
    );
}

/** An empty page teaches: what would stand here, and the one next thing to do. */
export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
    return (
        <section class="card">
            <h2>{title}</h2>
            {children}
        </section>
    );
}

export function Command({ text }: { text: string }) {
    return <pre>{text}</pre>;
}

const GOOD = new Set(["online", "confirmed", "passed", "completed", "running", "healthy", "ready", "loaded"]);
const BAD = new Set(["failed", "rolled_back", "rejected", "inconsistent", "crashed", "error", "revoked"]);
const PLAIN = new Set(["no gate", "idle", "superseded", "stopped"]);

export function State({ value }: { value: string }) {
    const tone = GOOD.has(value) ? "good" : BAD.has(value) ? "bad" : PLAIN.has(value) ? "quiet" : "warn";
    return <span class={`tag ${tone}`}>{value.replace(/_/g, " ")}</span>;
}

export interface ConfirmProps {
    title: string;
    children: ComponentChildren;
    action: string;
    onYes: () => Promise<void>;
    onClose: () => void;
}

/** A modal question. The dialog element gives focus trap and Escape. */
export function Confirm({ title, children, action, onYes, onClose }: ConfirmProps) {
    const dialog = useRef<HTMLDialogElement>(null);
    const [busy, setBusy] = useState(false);
    const [error, setError] = useState<Problem>();
    useEffect(() => dialog.current?.showModal(), []);
    const yes = async () => {
        setBusy(true);
        setError(undefined);
        try {
            await onYes();
            onClose();
        } catch (problem) {
            setError(problem instanceof Problem ? problem : new Problem(0, String(problem)));
            setBusy(false);
        }
    };
    return (
        <dialog ref={dialog} onClose={onClose} aria-labelledby="confirm-title">
            <h2 id="confirm-title">{title}</h2>
            <div>{children}</div>
            <Failure error={error} />
            <div class="row">
                <button class="main" type="button" disabled={busy} onClick={() => void yes()}>
                    {action}
                </button>
                <button type="button" onClick={onClose}>
                    Cancel
                </button>
            </div>
        </dialog>
    );
}
