// SPDX-License-Identifier: Apache-2.0
// Style sheets are bundled by esbuild; TypeScript need not look inside.
declare module "*.css";
