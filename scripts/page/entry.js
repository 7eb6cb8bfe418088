// The parts of Pipecat's client that the page uses.
export { PipecatClient, RTVIEvent } from "@pipecat-ai/client-js";
export { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
