/** The packet parser of socket.io-client, with a higher limit for binary values. */

import { Decoder, Encoder } from "socket.io-parser";

/** A parser that accepts up to this many binary values per packet; socket.io-client closes the connection above 10. */
export function parserFor(maxAttachments: number): { Encoder: typeof Encoder; Decoder: typeof Decoder } {
  class RoomyDecoder extends Decoder {
    constructor() {
      super({ maxAttachments });
    }
  }
  return { Encoder, Decoder: RoomyDecoder };
}
