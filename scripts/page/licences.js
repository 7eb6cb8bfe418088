// Prints name, version and licence text of every package that meta.json names.
import { readFileSync, readdirSync } from "node:fs";
import { dirname } from "node:path";

function licenceIn(folder) {
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  return file && readFileSync(`${folder}/${file}`, "utf8").trim();
}

// A package of the same owners, under the same licence, that has its text where this one left it out.
function siblings(folder) {
  return dirname(folder).endsWith("node_modules") ? [] : readdirSync(dirname(folder)).map((name) => `${dirname(folder)}/${name}`);
}

function fail(name) {
  throw new Error(`There is no licence text for ${name}.`);
}

const inputs = Object.keys(JSON.parse(readFileSync("meta.json", "utf8")).inputs);
const folders = new Set(
  inputs.map((path) => path.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1]).filter(Boolean),
);
for (const folder of [...folders].sort()) {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  console.log(`${"=".repeat(100)}\n${name} ${version}: ${license}\n`);
  console.log(licenceIn(folder) ?? siblings(folder).map(licenceIn).find(Boolean) ?? fail(name));
  console.log();
}
