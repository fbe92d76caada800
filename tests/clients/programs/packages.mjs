// Imports the packages that NODE_CLIENTS has, for programs that are elsewhere.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.NODE_CLIENTS}/`);

export const load = (name) => import(pathToFileURL(require.resolve(name)));
