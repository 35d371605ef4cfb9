/** An access list: its names, and how they are added and removed. */

import { useEffect, useMemo, useState } from "preact/hooks";

import { Listing, PAGE } from "../state/listing.js";
import type { Session } from "../state/session.js";
import { isolated } from "../state/texts.js";
import { userColumn } from "./columns.js";
import type { Column } from "./grid.js";
import { ListView } from "./list.js";
import { Button, Field, IconButton, useWork } from "./parts.js";

interface NamesProps {
  session: Session;
  /** The path of the list in the API. */
  place: string;
  title: string;
  hint: string;
  /** Whether it is below a heading of its own level 2. */
  isSub?: boolean;
}

interface NamesPage {
  names: string[];
  cursor: string | null;
}

export function Names({ session, place, title, hint, isSub }: NamesProps) {
  const api = session.api.value!;
  const [name, setName] = useState("");
  const { isBusy, error, run } = useWork();
  const listing = useMemo(
    () =>
      new Listing<string>(
        async (cursor, _, signal) => {
          const page = await api.get<NamesPage>(place, { limit: PAGE, cursor }, signal);
          return { items: page.names, cursor: page.cursor };
        },
        (item) => item,
      ),
    [place],
  );
  useEffect(() => {
    void listing.refresh();
    return () => listing.stop();
  }, [listing]);
  const add = async (event: SubmitEvent) => {
    event.preventDefault();
    const isDone = await run(async () => {
      await api.send("PATCH", place, { add: [name] });
      listing.change(name, name);
    });
    if (isDone) setName("");
  };
  const remove = (removed: string) =>
    void run(async () => {
      await api.send("PATCH", place, { remove: [removed] });
      listing.change(removed, null);
      session.toast(`${isolated(removed)} was removed from the list.`);
    });
  const mayWrite = session.may("write");
  const columns: Column<string>[] = [userColumn("Name", "1fr", (item) => item)];
  if (mayWrite) {
    columns.push({
      key: "remove",
      title: "Remove",
      width: "5.5rem",
      isNumber: true,
      cell: (item, tabIndex) => (
        <IconButton icon="close" label={`Remove ${item}`} tabIndex={tabIndex} onClick={() => remove(item)} />
      ),
    });
  }
  return (
    <section class="names" aria-label={title}>
      {isSub ? <h3>{title}</h3> : <h2>{title}</h2>}
      <p class="quiet">{hint}</p>
      {mayWrite && (
        <form class="add-name" onSubmit={(event) => void add(event)}>
          <Field label={`Add to the ${title.toLowerCase()}`} value={name} onInput={setName} error={error} isHidden />
          <Button type="submit" disabled={isBusy || name === ""}>
            Add
          </Button>
        </form>
      )}
      <ListView listing={listing} label={title} what="name" columns={columns} empty="The list is empty." isPart />
    </section>
  );
}
