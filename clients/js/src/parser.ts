/** The format of packets: that of socket.io-client, with a higher bound for binary values. */

import { Decoder, Encoder } from "socket.io-parser";

/** A parser that accepts packets with at most so many binary values; socket.io-client itself closes the connection above 10. */
export function parserFor(maxAttachments: number): { Encoder: typeof Encoder; Decoder: typeof Decoder } {
  class RoomyDecoder extends Decoder {
    constructor() {
      super({ maxAttachments });
    }
  }
  return { Encoder, Decoder: RoomyDecoder };
}
