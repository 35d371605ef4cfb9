/** What a user has chosen in this browser: favourite and muted conversations, and notifications. */

import { signal, type Signal } from "@preact/signals";

import { savedChoices, type Choices } from "./storage.js";

/** The maximum number of conversations that are kept as favourites, and as muted. */
const MAX_KEYS = 500;

export class Preferences {
  /** Keys of conversations. */
  readonly favourites = signal<ReadonlySet<string>>(new Set());
  readonly muted = signal<ReadonlySet<string>>(new Set());
  /** Whether the user wants notifications on the desktop. The browser must allow them, too. */
  readonly notifies = signal(false);
  #user = "";

  load(user: string): void {
    this.#user = user;
    const { favourites, muted, notifies } = savedChoices.get(user);
    this.favourites.value = new Set(favourites);
    this.muted.value = new Set(muted);
    this.notifies.value = notifies;
  }

  setFavourite(key: string, isFavourite: boolean): void {
    this.#save({ favourites: toggled(savedChoices.get(this.#user).favourites, key, isFavourite) });
  }

  setMuted(key: string, isMuted: boolean): void {
    this.#save({ muted: toggled(savedChoices.get(this.#user).muted, key, isMuted) });
  }

  setNotifies(notifies: boolean): void {
    this.#save({ notifies });
  }

  /** Other tabs of the same user may have changed the rest, which is therefore read again. */
  #save(changes: Partial<Choices>): void {
    const choices = { ...savedChoices.get(this.#user), ...changes };
    savedChoices.set(this.#user, choices);
    update(this.favourites, choices.favourites);
    update(this.muted, choices.muted);
    this.notifies.value = choices.notifies;
  }
}

function toggled(keys: string[], key: string, isIn: boolean): string[] {
  const others = keys.filter((other) => other !== key);
  return isIn ? [...others, key].slice(-MAX_KEYS) : others;
}

function update(known: Signal<ReadonlySet<string>>, keys: string[]): void {
  known.value = new Set(keys);
}
