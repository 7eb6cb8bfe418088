// @google/genai: Live by text and microphone, generateContent, tokens.
import { GoogleGenAI, Modality } from '@google/genai';
import { expect, pcm, pieces, run, sleep } from './trying.mjs';

const ai = new GoogleGenAI({ apiKey: process.env.GOOGLE_API_KEY });
const config = {
  responseModalities: [Modality.AUDIO], inputAudioTranscription: {}, outputAudioTranscription: {},
};

async function turn(client, model, send) {
  let said = '', sound = 0, done;
  const over = new Promise((resolve, reject) => { done = { resolve, reject }; });
  const session = await client.live.connect({
    model, config,
    callbacks: {
      onmessage: (message) => {
        const content = message.serverContent;
        said += content?.inputTranscription?.text ?? '';
        said += content?.outputTranscription?.text ?? '';
        sound += message.data?.length ?? 0;
        if (content?.turnComplete) done.resolve();
      },
      onclose: (event) => done.reject(new Error(`closed ${event.code} ${event.reason}`)),
    },
  });
  await send(session);
  await over;
  session.close();
  if (sound < 10_000) throw new Error('no audio');
  return said;
}

await run({
  'text turn': async () => expect(await turn(ai, 'gemini-3.8-live', (session) =>
    session.sendClientContent({ turns: 'hello', turnComplete: true })), 'You said: hello'),
  'microphone turn': async () => expect(await turn(ai, 'gemini-3.8-live', async (session) => {
    for (const piece of pieces(pcm)) {
      session.sendRealtimeInput({ audio: { data: piece.toString('base64'), mimeType: 'audio/pcm;rate=16000' } });
      await sleep(5);
    }
  }), 'You said: what time is it'),
  'ephemeral token': async () => {
    const options = { httpOptions: { apiVersion: 'v1alpha' } };
    const token = await new GoogleGenAI({ apiKey: 'k', ...options }).authTokens.create({ config: { uses: 1 } });
    const short = new GoogleGenAI({ apiKey: token.name, ...options });
    return expect(await turn(short, 'gemini-3.8-live', (session) =>
      session.sendClientContent({ turns: 'hello', turnComplete: true })), 'You said: hello');
  },
  generateContent: async () => {
    let said = '';
    for await (const chunk of await ai.models.generateContentStream({ model: 'gemini-3.8-flash', contents: 'hello' }))
      said += chunk.text ?? '';
    expect(said, 'You said: hello');
    const answer = await ai.models.generateContent({ model: 'gemini-3.8-flash', contents: 'hello' });
    return expect(answer.text, 'You said: hello');
  },
});
