/** A high-speed USB bulk packet; the controller sends nothing until one is full or committed. */
export const packetBytes = 512;

/** The USB controller's packets: bytes wait in the last one until it is full or committed. */
export class PacketBuffer {
  readonly #bytes: Uint8Array;
  #head = 0;
  #committed = 0;
  #tail = 0;

  constructor(packets: number) {
    this.#bytes = new Uint8Array(packets * packetBytes);
  }

  /** Bytes that can be appended now. */
  get room(): number {
    return this.#bytes.length - (this.#tail - this.#head);
  }

  /** Appends at most `room` bytes; full packets become ready. */
  append(bytes: Uint8Array): void {
    if (this.#tail + bytes.length > this.#bytes.length) this.#compact();
    this.#bytes.set(bytes, this.#tail);
    this.#tail += bytes.length;
    this.#committed += Math.floor((this.#tail - this.#committed) / packetBytes) * packetBytes;
  }

  /** Makes the partly filled packet ready. */
  commit(): void {
    this.#committed = this.#tail;
  }

  /** What is ready for the host; valid until the next call. */
  peek(): Uint8Array {
    return this.#bytes.subarray(this.#head, this.#committed);
  }

  /** Removes bytes that the host has taken. */
  take(count: number): void {
    this.#head += count;
    if (this.#head === this.#tail) this.clear();
  }

  /** Forgets everything. */
  clear(): void {
    this.#head = 0;
    this.#committed = 0;
    this.#tail = 0;
  }

  #compact(): void {
    this.#bytes.copyWithin(0, this.#head, this.#tail);
    this.#committed -= this.#head;
    this.#tail -= this.#head;
    this.#head = 0;
  }
}
