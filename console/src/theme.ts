// SPDX-License-Identifier: Apache-2.0
// theme.ts -- dark or light: the system's wish, unless the person chose.

const KEY = "ledge.theme";

export type Theme = "light" | "dark";

export function currentTheme(): Theme {
    const chosen = localStorage.getItem(KEY);
    if (chosen === "light" || chosen === "dark") {
        return chosen;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function applyTheme(theme: Theme): void {
    document.documentElement.dataset["theme"] = theme;
}

export function toggleTheme(): Theme {
    const next = currentTheme() === "dark" ? "light" : "dark";
    localStorage.setItem(KEY, next);
    applyTheme(next);
    return next;
}
