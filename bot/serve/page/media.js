// The microphone, for Pipecat's WebRTC transport: an object of the form of its media managers, on getUserMedia alone.

const CONSTRAINTS = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

export class Microphone {
  supportsScreenShare = false;
  isCamEnabled = false;
  isSharingScreen = false;
  isMicEnabled = true;
  selectedCam = {};
  selectedSpeaker = {};

  #stream = null;
  #given = new Set();
  #deviceId = "";
  #onReplaced;

  // onReplaced: called with the new track when another microphone was chosen during a talk.
  constructor(onReplaced) {
    this.#onReplaced = onReplaced;
  }

  setClientOptions() {}

  async initialize() {}

  // Without a microphone the talk goes on by typing; `problem` tells why.
  async connect() {
    this.problem = null;
    try {
      await this.#open();
    } catch (error) {
      this.problem = error;
    }
  }

  async disconnect() {
    this.#stop();
    for (const track of this.#given) track.stop();
    this.#given.clear();
  }

  // A copy each time: the transport stops the tracks of a connection that it replaces.
  tracks() {
    const original = this.#stream?.getAudioTracks()[0];
    if (!original) return { local: {} };
    const audio = original.clone();
    audio.enabled = this.isMicEnabled;
    for (const track of this.#given) if (track.readyState === "ended") this.#given.delete(track);
    this.#given.add(audio);
    return { local: { audio } };
  }

  get stream() {
    return this.#stream;
  }

  get selectedMic() {
    return { deviceId: this.#deviceId };
  }

  async getAllMics() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices.filter((device) => device.kind === "audioinput" && device.deviceId !== "default");
  }

  async getAllCams() {
    return [];
  }

  async getAllSpeakers() {
    return [];
  }

  async updateMic(deviceId) {
    this.#deviceId = deviceId;
    if (!this.#stream) return;
    await this.#open();
    this.#onReplaced(this.tracks().local.audio);
  }

  updateCam() {}

  updateSpeaker() {}

  enableMic(enable) {
    this.isMicEnabled = enable;
    for (const track of this.#given) track.enabled = enable;
  }

  enableCam() {}

  enableScreenShare() {}

  async #open() {
    if (!navigator.mediaDevices) throw new DOMException("No media devices", "SecurityError");
    const audio = this.#deviceId ? { ...CONSTRAINTS, deviceId: { exact: this.#deviceId } } : CONSTRAINTS;
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    this.#stop();
    this.#stream = stream;
  }

  #stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
  }
}

// How loud a stream is, from 0 to 1, read as often as wanted.
export class Level {
  #context = null;
  #analyser = null;
  #samples = null;

  follow(stream) {
    this.stop();
    if (!stream) return;
    this.#context = new AudioContext();
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 512;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
  }

  // Seconds that the loudspeaker needs, as far as the browser knows.
  get outputSecs() {
    return this.#context?.outputLatency || this.#context?.baseLatency || 0;
  }

  read() {
    if (!this.#analyser) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    return Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-10) / 6));
  }

  stop() {
    this.#context?.close();
    this.#context = this.#analyser = null;
  }
}
