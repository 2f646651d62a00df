/** What an explanation says, as links of a chain: the answer first, data and code last. */

import { figure, full, percent, share } from "./words.js";

const SAFE = /^https?:\/\//;
const JUDGED = { true: ", the answer was wrong", false: ", the answer was right" };

/** Titles with their facts; what is not known is left out and told at the end. */
export function chainOf(found) {
  return [
    answer(found),
    request(found),
    version(found),
    training(found),
    ...(found.origin ? [sources(found.origin)] : []),
    ...(found.alerts.length ? [alerts(found)] : []),
    ...(found.missing.length ? [unknown(found)] : []),
  ].filter((link) => link.facts.length > 0);
}

function answer(found) {
  const { outputs, probability, labels, shadows } = found;
  return {
    title: "Answer",
    facts: facts(
      ["Prediction", found.prediction, { code: true }],
      ["At", full(found.at)],
      ...Object.keys(outputs).map((name) => [name, sure(outputs[name], probability[name])]),
      ...labels.map((one) => [`True ${one.output}`, truth(one)]),
      ...shadows.map((one) => [`Unseen, version ${one.version}`, unseen(one)]),
      ["Model took", `${figure(found.latency_ms)} ms`],
    ),
  };
}

function request({ request: id, client, input_hash: hash, inputs }) {
  const seen = Object.entries(inputs ?? {}).map(([name, value]) => [name, text(value)]);
  return {
    title: "Request",
    facts: facts(
      ["Request", id, { code: true }],
      ["API key", client],
      ["Hash of inputs", hash, { code: true }],
      ...seen,
    ),
  };
}

function version(found) {
  const { links, phase, role } = found;
  const part = found.share === null ? "" : `, ${share(found.share)} of the requests`;
  const failed = found.fallback_from;
  return {
    title: `${found.model} version ${found.version}`,
    facts: facts(
      ["Role then", role && `${role === "other" ? "neither champion nor on its way" : role}${part}`],
      ["Shares since", phase && `${full(phase.at)}: ${phase.action}, ${phase.reason}`],
      ["Experiment", found.experiment],
      ["In place of", failed === null ? null : `version ${failed}, which was chosen and failed`],
      ["Registered", found.origin && full(found.origin.registered)],
      ["In MLflow", links.mlflow_version && "this version", { href: links.mlflow_version }],
    ),
  };
}

function training({ run, dag_run: dag, origin, links, retraining }) {
  return {
    title: "Training",
    facts: facts(
      ["Run", run, { code: true }],
      ["DAG run", dag && `${dag.dag}, ${dag.run}`, { href: links.dag_run }],
      ["Started by", retraining && `alert ${retraining.alert}, ${full(retraining.asked)}`],
      ["MLflow run", origin?.mlflow_run, { code: true, href: links.mlflow_run }],
    ),
  };
}

function sources(origin) {
  const changed = origin.git_dirty ? " and changes to it" : "";
  return {
    title: "Spec, data and code",
    facts: facts(
      ["Spec", origin.spec_hash, { code: true }],
      ["Data revision", origin.data_revision, { code: true }],
      ["Data", origin.content_hash, { code: true }],
      ["Table and split", origin.data_hash, { code: true }],
      ["Git commit", origin.git_commit && origin.git_commit + changed, { code: true }],
      ["Packages", origin.environment_hash, { code: true }],
      ["Weights", origin.weights_hash, { code: true }],
    ),
  };
}

const alerts = (found) => ({
  title: "Alerts at that time",
  facts: found.alerts.map((one) => ({
    name: one.level,
    value: `${one.subject}: ${one.reason} Since ${full(one.onset)}.`,
  })),
});

const unknown = (found) => ({
  title: "Not known here",
  facts: found.missing.map((line) => {
    const [name, ...rest] = line.split(": ");
    return { name: name.replaceAll("_", " "), value: rest.join(": ") };
  }),
});

/** Only facts that have a value, and only addresses that are web pages. */
const facts = (...given) =>
  given
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value, { code = false, href = "" } = {}]) => ({
      name,
      value,
      code,
      href: SAFE.test(href ?? "") ? href : "",
    }));

const text = (value) =>
  typeof value === "number" ? figure(value) : typeof value === "string" ? value : JSON.stringify(value);

const sure = (value, chance) =>
  chance === undefined ? text(value) : `${text(value)}, ${percent(chance)} sure`;

const truth = (label) => text(label.value) + (JUDGED[label.wrong] ?? "") + (label.by ? `, said ${label.by}` : "");

const unseen = (shadow) =>
  shadow.error ??
  Object.entries(shadow.outputs)
    .map(([name, value]) => `${name} ${sure(value, shadow.probability[name])}`)
    .join("; ");
