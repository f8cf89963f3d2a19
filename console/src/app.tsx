// SPDX-License-Identifier: Apache-2.0
// app.tsx -- the frame: menu, page, sign-in. Pages stand in pages/, one a file.
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Summary } from "./api";
import "./app.css";
import { call, Problem, signOut, whenSignedOut } from "./http";
import { closeStream, openStream, useConnected, useResource } from "./live";
import { Devices } from "./pages/devices";
import { Home } from "./pages/home";
import { Label } from "./pages/label";
import { Live } from "./pages/live";
import { Login } from "./pages/login";
import { Models } from "./pages/models";
import { linkTo, usePlace, type Place } from "./router";
import { applyTheme, currentTheme, toggleTheme } from "./theme";

const PAGES = [
    ["home", "Home"],
    ["live", "Live"],
    ["models", "Models"],
    ["label", "Label"],
    ["devices", "Devices"],
] as const;

function Page({ place }: { place: Place }) {
    switch (place.page) {
        case "home":
            return <Home />;
        case "live":
            return <Live />;
        case "models":
            return <Models only={place.rest[0]} />;
        case "label":
            return <Label />;
        case "devices":
            return <Devices only={place.rest[0]} />;
        default:
            return (
                <p class="notice warn">
                    There is no page {place.page}. <a href={linkTo("home")}>Home</a>
                </p>
            );
    }
}

function Menu({ page }: { page: string }) {
    const summary = useResource<Summary>("/api/v1/summary", ["sample"]);
    const connected = useConnected();
    const [theme, setTheme] = useState(currentTheme());
    const queue = summary.data?.queue ?? 0;
    return (
        <nav aria-label="Pages">
            <div class="name">Ledge</div>
            {PAGES.map(([name, title]) => (
                <a key={name} href={linkTo(name)} {...(page === name ? { "aria-current": "page" as const } : {})}>
                    {title}
                    {name === "label" && queue > 0 ? <span class="count">{queue}</span> : null}
                </a>
            ))}
            <div class="foot">
                <p class="quiet" aria-live="polite" data-role="stream">
                    {connected ? "live" : "connecting"}
                </p>
                <button type="button" onClick={() => setTheme(toggleTheme())}>
                    {theme === "dark" ? "Light" : "Dark"}
                </button>
                <button type="button" onClick={() => void signOut()}>
                    Sign out
                </button>
            </div>
        </nav>
    );
}

function Frame() {
    const place = usePlace();
    const main = useRef<HTMLElement>(null);
    const [theme, setTheme] = useState(currentTheme());
    useEffect(() => {
        openStream();
        return closeStream;
    }, []);
    useEffect(() => {
        document.title = `${PAGES.find(([name]) => name === place.page)?.[1] ?? "Ledge"} - Ledge`;
        main.current?.focus({ preventScroll: true });
    }, [place.page]);
    return (
        <>
            <button class="skip" type="button" onClick={() => main.current?.focus()}>
                Skip to the page
            </button>
            <div class="frame">
                <Menu page={place.page} />
                <main ref={main} tabIndex={-1}>
                    <Page key={place.page} place={place} />
                    <div class="row only-narrow pages-end">
                        <button type="button" onClick={() => setTheme(toggleTheme())}>
                            {theme === "dark" ? "Light" : "Dark"}
                        </button>
                        <button type="button" onClick={() => void signOut()}>
                            Sign out
                        </button>
                    </div>
                </main>
            </div>
        </>
    );
}

/** Signed in is what the hub says: a cookie from another tab counts too. */
function App() {
    const [signedIn, setSignedIn] = useState<boolean>();
    useEffect(() => {
        call("GET", "/api/v1/summary").then(
            () => setSignedIn(true),
            (problem: unknown) => setSignedIn(problem instanceof Problem && problem.status !== 401),
        );
        return whenSignedOut(() => setSignedIn(false));
    }, []);
    if (signedIn === undefined) {
        return null;
    }
    return signedIn ? <Frame /> : <Login onDone={() => setSignedIn(true)} />;
}

applyTheme(currentTheme());
const root = document.getElementById("app");
if (root !== null) {
    render(<App />, root);
}
