// SPDX-License-Identifier: Apache-2.0
// router.ts -- the page is the part of the address after '#': every state of the console can be linked to, and the hub
// serves one document only.
import { useEffect, useState } from "preact/hooks";

export interface Place {
    page: string;
    rest: string[];
}

export function parsePlace(hash: string): Place {
    const parts = hash
        .replace(/^#\/?/, "")
        .split("/")
        .filter((part) => part !== "")
        .map((part) => {
            try {
                return decodeURIComponent(part);
            } catch {
                return part; // a stray % in a link typed by hand
            }
        });
    return { page: parts[0] ?? "home", rest: parts.slice(1) };
}

export function usePlace(): Place {
    const [place, setPlace] = useState(() => parsePlace(location.hash));
    useEffect(() => {
        const move = () => setPlace(parsePlace(location.hash));
        addEventListener("hashchange", move);
        return () => removeEventListener("hashchange", move);
    }, []);
    return place;
}

export function linkTo(...parts: string[]): string {
    return "#/" + parts.map(encodeURIComponent).join("/");
}
