/** The FIFO between a tagger's input stage and its USB controller: 32-bit words, bounded. */
export class WordFifo {
  readonly #bytes: Uint8Array;
  readonly #capacity: number;
  #first = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#bytes = new Uint8Array(4 * capacity);
  }

  /** Words held. */
  get length(): number {
    return this.#length;
  }

  /** Appends a word; false when the FIFO is full and the word is lost. */
  push(word: number): boolean {
    if (this.#length === this.#capacity) return false;
    let at = this.#first + this.#length;
    if (at >= this.#capacity) at -= this.#capacity;
    at *= 4;
    this.#bytes[at] = word;
    this.#bytes[at + 1] = word >>> 8;
    this.#bytes[at + 2] = word >>> 16;
    this.#bytes[at + 3] = word >>> 24;
    this.#length++;
    return true;
  }

  /** Hands up to `count` of the oldest words over as little-endian bytes, in one piece or two. */
  shift(count: number, take: (bytes: Uint8Array) => void): void {
    let left = Math.min(count, this.#length);
    while (left > 0) {
      const piece = Math.min(left, this.#capacity - this.#first);
      take(this.#bytes.subarray(4 * this.#first, 4 * (this.#first + piece)));
      this.#first = (this.#first + piece) % this.#capacity;
      this.#length -= piece;
      left -= piece;
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#first = 0;
    this.#length = 0;
  }
}
