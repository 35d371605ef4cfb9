/** The instances, and what the one that answers does per second. */

import { useRef, useState } from "preact/hooks";

import { path } from "../state/api.js";
import { type Counted, linePoints, MAX_SAMPLES, type Rates, ratesBetween } from "../state/rates.js";
import type { Instance, Statistics } from "../state/records.js";
import type { Session } from "../state/session.js";
import { count, duration, explain, number, rate } from "../state/texts.js";
import { FormDialog } from "./dialog.js";
import { Button, Failure, useRepeated } from "./parts.js";

/** Times in ms between two readings. */
const STATISTICS_EVERY = 2_000;
const INSTANCES_EVERY = 5_000;

const SHOWN: readonly (readonly [Counted, string])[] = [
  ["messages", "Messages"],
  ["commands", "Commands"],
  ["deliveries", "Deliveries"],
  ["failures", "Failed commands"],
];

export function Overview({ session }: { session: Session }) {
  const api = session.api.value!;
  const [instances, setInstances] = useState<Instance[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const load = () =>
    void api.get<{ instances: Instance[] }>("/instances").then(
      (answer) => {
        setInstances(answer.instances);
        setProblem(null);
      },
      (error: unknown) => setProblem(explain(error)),
    );
  useRepeated(load, INSTANCES_EVERY);
  const alive = instances?.filter((instance) => instance.state === "alive") ?? [];
  const sockets = alive.reduce((sum, instance) => sum + instance.sockets, 0);
  return (
    <div class="page scrolls">
      <div class="page-head">
        <h1 id="title">Overview</h1>
      </div>
      {problem && <Failure text={problem} onRetry={load} />}
      {instances && (
        <p class="lead">
          {count(sockets, "socket")} on {count(alive.length, "instance")}
        </p>
      )}
      <Activity session={session} />
      {instances && <Instances session={session} instances={instances} onChange={load} />}
    </div>
  );
}

function Activity({ session }: { session: Session }) {
  const api = session.api.value!;
  const before = useRef<Statistics | null>(null);
  const [now, setNow] = useState<Statistics | null>(null);
  const [samples, setSamples] = useState<readonly Rates[]>([]);
  const read = async () => {
    try {
      const next = await api.get<Statistics>("/statistics");
      const rates = before.current && ratesBetween(before.current, next);
      // With a load balancer, another instance may answer: its counters have a beginning of their own.
      if (before.current && before.current.instanceId !== next.instanceId) setSamples([]);
      if (rates) setSamples((known) => [...known.slice(1 - MAX_SAMPLES), rates]);
      before.current = next;
      setNow(next);
    } catch {
      // The list of instances says that the server is away.
    }
  };
  useRepeated(() => void read(), STATISTICS_EVERY);
  if (!now) return null;
  const latest = samples[samples.length - 1];
  return (
    <section aria-labelledby="activity">
      <h2 id="activity">This instance</h2>
      <p class="quiet">
        <code>{now.instanceId}</code> answers: {count(now.sockets, "socket")} of {count(now.users, "user")},{" "}
        {count(now.rooms, "room")} in use
        {now.sendBufferBytes !== null && `, ${number(now.sendBufferBytes)} bytes waiting to be sent`}
      </p>
      <ul class="cards">
        {SHOWN.filter(([name]) => now[name] !== null).map(([name, label]) => (
          <li key={name} class="card">
            <span class="label">{label}</span>
            <span class="value">
              {latest ? rate(latest[name]) : "–"} <span class="quiet">per second</span>
            </span>
            <svg class="spark" viewBox="0 0 120 32" preserveAspectRatio="none" aria-hidden="true">
              <polyline points={linePoints(samples.map((sample) => sample[name]), 120, 30)} transform="translate(0 1)" />
            </svg>
            <span class="quiet">{number(now[name] ?? 0)} in all</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

const STATES: Record<Instance["state"], string> = {
  alive: "Alive",
  lapsed: "Not heard of",
  recovering: "Being recovered",
};

function Instances(props: { session: Session; instances: readonly Instance[]; onChange: () => void }) {
  const { session } = props;
  const [recovering, setRecovering] = useState<Instance | null>(null);
  return (
    <section aria-labelledby="instances">
      <h2 id="instances">Instances</h2>
      <div class="table-box" tabIndex={0} role="region" aria-label="Table of instances">
        <table>
          <thead>
            <tr>
              <th scope="col">Instance</th>
              <th scope="col">State</th>
              <th scope="col" class="is-number">
                Sockets
              </th>
              <th scope="col" class="is-number">
                Last heartbeat
              </th>
              {session.may("admin") && (
                <th scope="col">
                  <span class="sr-only">Actions</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {props.instances.map((instance) => (
              <tr key={instance.id}>
                <th scope="row">
                  <code>{instance.id}</code>
                  {instance.isThisOne && <span class="badge">answers</span>}
                </th>
                <td>
                  <span class={`state ${instance.state}`}>{STATES[instance.state]}</span>
                </td>
                <td class="is-number">{number(instance.sockets)}</td>
                <td class="is-number">{duration(instance.age)} ago</td>
                {session.may("admin") && (
                  <td class="is-number">
                    {!instance.isThisOne && instance.state !== "alive" && (
                      <Button label={`Recover ${instance.id}`} onClick={() => setRecovering(instance)}>
                        Recover
                      </Button>
                    )}
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {recovering && (
        <FormDialog
          session={session}
          title="Recover an instance"
          action="Recover"
          isDanger
          onClose={() => setRecovering(null)}
          onSubmit={async () => {
            await session.api.value!.send("POST", path`/instances/${recovering.id}/recover`);
            session.toast("The instance was recovered.");
            props.onChange();
          }}
        >
          <p>
            The sockets of <code>{recovering.id}</code> leave all rooms, as if they had disconnected. Other instances do
            this by themselves after a while.
          </p>
        </FormDialog>
      )}
    </section>
  );
}
