// @google-cloud/speech and @google-cloud/text-to-speech.
import speech from '@google-cloud/speech';
import tts from '@google-cloud/text-to-speech';
import grpc from '@grpc/grpc-js';
import { expect, pcm, pieces, run } from './trying.mjs';

function at(address) {
  const [apiEndpoint, port] = address.split(':');
  return { apiEndpoint, port: Number(port), sslCreds: grpc.credentials.createInsecure() };
}
const ears = at(process.env.SPEECH_EMULATOR_HOST), voice = at(process.env.TEXTTOSPEECH_EMULATOR_HOST);
const config = { encoding: 'LINEAR16', sampleRateHertz: 16_000, languageCode: 'en-US' };

function streamed(stream, first, audio) {
  return new Promise((resolve, reject) => {
    let said = '';
    stream.on('data', (data) => data.results.forEach((result) => { said = result.alternatives[0].transcript; }));
    stream.on('error', reject);
    stream.on('end', () => resolve(said));
    if (first) stream.write(first);
    for (const piece of pieces(pcm)) stream.write(audio(piece));
    stream.end();
  });
}

await run({
  'Speech v1': async () => {
    const client = new speech.v1.SpeechClient(ears);
    const [answer] = await client.recognize({ config, audio: { content: pcm.toString('base64') } });
    expect(answer.results[0].alternatives[0].transcript, 'what time is it');
    const stream = client.streamingRecognize({ config, interimResults: true });
    return expect(await streamed(stream, null, (piece) => piece), 'what time is it');
  },
  'Speech v2': async () => {
    const decoding = { encoding: 'LINEAR16', sampleRateHertz: 16_000, audioChannelCount: 1 };
    const first = {
      recognizer: 'projects/p/locations/global/recognizers/_',
      streamingConfig: { config: { explicitDecodingConfig: decoding, languageCodes: ['en-US'], model: 'long' } },
    };
    const stream = new speech.v2.SpeechClient(ears)._streamingRecognize();
    return expect(await streamed(stream, first, (audio) => ({ audio })), 'what time is it');
  },
  'Text-to-Speech v1': async () => {
    const client = new tts.TextToSpeechClient(voice);
    const [answer] = await client.synthesizeSpeech({
      input: { text: 'Hello there.' }, voice: { languageCode: 'en-US', name: 'en-US-Chirp3-HD-Kore' },
      audioConfig: { audioEncoding: 'MP3' },
    });
    if (answer.audioContent.length < 2_000) throw new Error('no audio');
    return new Promise((resolve, reject) => {
      let size = 0;
      const stream = client.streamingSynthesize();
      stream.on('data', (data) => { size += data.audioContent.length; });
      stream.on('error', reject);
      stream.on('end', () => (size > 20_000 ? resolve(size) : reject(new Error(`${size} bytes`))));
      stream.write({ streamingConfig: { voice: { languageCode: 'en-US', name: 'en-US-Chirp3-HD-Kore' } } });
      stream.write({ input: { text: 'Hello there.' } });
      stream.end();
    });
  },
  'Text-to-Speech v1beta1': async () => {
    const [answer] = await new tts.v1beta1.TextToSpeechClient(voice).listVoices({ languageCode: 'ko-KR' });
    return answer.voices.length || Promise.reject(new Error('no voices'));
  },
});
