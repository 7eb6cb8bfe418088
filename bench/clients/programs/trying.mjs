// Cases that a program runs one after the other, telling of each in one JSON line.
import fs from 'node:fs';

const wav = fs.readFileSync(process.env.CLIENTS_WAV);
export const pcm = Buffer.concat([wav.subarray(wav.indexOf('data') + 8), Buffer.alloc(48_000)]);
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const limit = (promise, ms = 30_000) =>
  Promise.race([promise, sleep(ms).then(() => { throw new Error('nothing came in time'); })]);
export function pieces(data, size = 3_200) {
  const all = [];
  for (let start = 0; start < data.length; start += size) all.push(data.subarray(start, start + size));
  return all;
}
export function expect(found, wanted) {
  if (!String(found).toLowerCase().includes(wanted.toLowerCase())) throw new Error(`expected ${wanted} in ${found}`);
  return String(found).slice(0, 80);
}
export async function run(cases) {
  for (const [name, work] of Object.entries(cases)) {
    const began = Date.now();
    let told;
    try {
      told = { case: name, ok: true, shown: String(await limit(work())).slice(0, 120) };
    } catch (error) {
      told = { case: name, ok: false, shown: `${error.name}: ${error.message}`.slice(0, 400) };
    }
    console.log(JSON.stringify({ ...told, seconds: (Date.now() - began) / 1000 }));
  }
  process.exit(0);
}
