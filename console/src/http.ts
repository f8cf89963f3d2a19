// SPDX-License-Identifier: Apache-2.0
// http.ts -- one way to call the hub. The token stays in this tab (sessionStorage); a session cookie that scripts cannot
// read goes along for pictures and the event stream, which cannot carry a header.

const TOKEN_KEY = "ledge.token";

/** An answer that is not 2xx: RFC 9457 problem+json where the hub gave one. */
export class Problem extends Error {
    constructor(
        readonly status: number,
        message: string,
    ) {
        super(message);
    }
}

type Listener = () => void;
const onSignedOut = new Set<Listener>();

export function whenSignedOut(listener: Listener): Listener {
    onSignedOut.add(listener);
    return () => onSignedOut.delete(listener);
}

async function problemOf(answer: Response): Promise<Problem> {
    let text = `${answer.status} ${answer.statusText}`;
    try {
        const body: unknown = await answer.json();
        if (typeof body === "object" && body !== null) {
            const { title, detail } = body as { title?: unknown; detail?: unknown };
            text = [title, detail].filter((part) => typeof part === "string").join(": ") || text;
        }
    } catch {
        // not JSON: the status line says what is known
    }
    return new Problem(answer.status, text);
}

/** GET, POST, ... with JSON in and out. Throws Problem; a lost network is Problem 0. */
export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { Accept: "application/json", "X-Ledge-Csrf": "1" };
    const token = sessionStorage.getItem(TOKEN_KEY);
    if (token !== null) {
        headers["Authorization"] = `Bearer ${token}`;
    }
    const request: RequestInit = { method, headers, credentials: "same-origin" };
    if (body !== undefined) {
        headers["Content-Type"] = "application/json";
        request.body = JSON.stringify(body);
    }
    let answer: Response;
    try {
        answer = await fetch(path, request);
    } catch {
        throw new Problem(0, "The hub cannot be reached. Is it running?");
    }
    if (answer.status === 401) {
        sessionStorage.removeItem(TOKEN_KEY);
        onSignedOut.forEach((listener) => listener());
    }
    if (!answer.ok) {
        throw await problemOf(answer);
    }
    const text = await answer.text();
    return (text === "" ? undefined : JSON.parse(text)) as T;
}

export async function signIn(token: string): Promise<void> {
    sessionStorage.setItem(TOKEN_KEY, token);
    try {
        await call("POST", "/api/v1/session", { token });
    } catch (error) {
        sessionStorage.removeItem(TOKEN_KEY);
        throw error;
    }
}

export async function signOut(): Promise<void> {
    try {
        await call("DELETE", "/api/v1/session");
    } finally {
        sessionStorage.removeItem(TOKEN_KEY);
        onSignedOut.forEach((listener) => listener());
    }
}
