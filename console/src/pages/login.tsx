// SPDX-License-Identifier: Apache-2.0
// login.tsx -- sign in with the admin token that the hub printed when it was first started.
import { useState } from "preact/hooks";
import { Problem, signIn } from "../http";
import { Failure } from "../parts/basics";

export function Login({ onDone }: { onDone: () => void }) {
    const [token, setToken] = useState("");
    const [busy, setBusy] = useState(false);
    const [error, setError] = useState<Problem>();
    const submit = async (event: Event) => {
        event.preventDefault();
        setBusy(true);
        setError(undefined);
        try {
            await signIn(token.trim());
            onDone();
        } catch (problem) {
            const known = problem instanceof Problem ? problem : new Problem(0, String(problem));
            setError(known.status === 401 ? new Problem(401, "This token is not known to the hub.") : known);
            setBusy(false);
        }
    };
    return (
        <main class="login">
            <h1>Ledge</h1>
            <form class="card stack" onSubmit={(event) => void submit(event)}>
                <Failure error={error} />
                <div>
                    <label for="token">Admin token</label>
                    <input
                        id="token"
                        name="token"
                        type="password"
                        autocomplete="current-password"
                        required
                        autofocus
                        value={token}
                        onInput={(event) => setToken(event.currentTarget.value)}
                    />
                </div>
                <button class="main" type="submit" disabled={busy || token.trim() === ""}>
                    Sign in
                </button>
                <p class="quiet">
                    The hub printed the token once, when it was started for the first time. A new one is made by{" "}
                    <code>ledge hub --new-token</code>.
                </p>
            </form>
        </main>
    );
}
