/**
 * Markdown, as elements of the page. The parser's HTML is never used: each token becomes one of a few elements, whose
 * texts and addresses Preact sets. HTML in a message is text. Loaded when it is first needed.
 */

import MarkdownIt, { type Token } from "markdown-it";
import { createElement, type ComponentChildren } from "preact";

import { isMisleading } from "./links.js";

/** What is not in this list stays text: HTML, pictures, tables, references, headings by underlining, indented code. */
const RULES = ["blockquote", "fence", "heading", "list", "backticks", "emphasis", "escape", "link", "linkify", "newline", "strikethrough"];
/** Only these addresses are links. */
const LINK = /^(https?:\/\/|mailto:)/i;
/** Deeper quotes, lists and emphasis stay text. */
const MAX_NESTING = 12;
/** Where other elements would say more than is meant: the page has its own headings. */
const ELEMENTS: Record<string, { tag: string; class?: string; dir?: string }> = {
  blockquote: { tag: "blockquote", dir: "auto" },
  bullet_list: { tag: "ul", dir: "auto" },
  ordered_list: { tag: "ol", dir: "auto" },
  list_item: { tag: "li" },
  paragraph: { tag: "p", dir: "auto" },
  heading: { tag: "p", class: "heading", dir: "auto" },
  em: { tag: "em" },
  strong: { tag: "strong" },
  s: { tag: "s" },
};

const parser = new MarkdownIt("zero", { linkify: true, breaks: true, maxNesting: MAX_NESTING }).enable(RULES);
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
parser.validateLink = (address) => LINK.test(address);

interface Open {
  token: Token;
  children: ComponentChildren[];
}

/** `inline`: makes what a text without Markdown looks like. */
export function render(text: string, inline: (text: string) => ComponentChildren): ComponentChildren {
  const blocks = elements(parser.parse(text, {}), inline, false);
  const isParagraph = blocks.length === 1 && (blocks[0] as { type?: unknown } | null)?.type === "p";
  return isParagraph ? blocks : <div class="markdown">{blocks}</div>;
}

function elements(tokens: Token[], inline: (text: string) => ComponentChildren, isInLink: boolean): ComponentChildren[] {
  const root: ComponentChildren[] = [];
  const open: Open[] = [];
  const add = (child: ComponentChildren) => (open.at(-1)?.children ?? root).push(child);
  for (const token of tokens) {
    if (token.nesting > 0) open.push({ token, children: [] });
    else if (token.nesting < 0) {
      const closed = open.pop();
      if (closed) add(element(closed));
    } else add(leaf(token, inline, isInLink || open.some((one) => one.token.type === "link_open")));
  }
  return root;
}

function leaf(token: Token, inline: (text: string) => ComponentChildren, isInLink: boolean): ComponentChildren {
  switch (token.type) {
    case "inline":
      return elements(token.children ?? [], inline, isInLink);
    case "softbreak":
    case "hardbreak":
      return "\n";
    case "code_inline":
      return <code dir="auto">{token.content}</code>;
    case "fence":
      return (
        <pre dir="ltr">
          <code>{token.content.replace(/\n$/, "")}</code>
        </pre>
      );
    default:
      return isInLink ? token.content : inline(token.content);
  }
}

function element({ token, children }: Open): ComponentChildren {
  const kind = token.type.replace(/_open$/, "");
  if (kind === "link") return <Link href={String(token.attrGet("href") ?? "")}>{children}</Link>;
  // Paragraphs of lists whose items follow each other without a line in between.
  if (token.hidden) return children;
  const known = ELEMENTS[kind];
  if (known === undefined) return children;
  const { tag, ...attributes } = known;
  const start = kind === "ordered_list" ? Number(token.attrGet("start") ?? 1) : undefined;
  return createElement(tag, { ...attributes, ...(start !== undefined && { start }) }, children);
}

function Link({ href, children }: { href: string; children: ComponentChildren }) {
  const text = plain(children);
  return (
    <a href={href} title={href} target="_blank" rel="noopener noreferrer" dir="auto">
      {isMisleading(text, href) ? href : children}
    </a>
  );
}

/** The text of elements made here. */
function plain(children: ComponentChildren): string {
  if (typeof children === "string") return children;
  if (Array.isArray(children)) return children.map(plain).join("");
  const props = (children as { props?: { children?: ComponentChildren } } | null | undefined)?.props;
  return props ? plain(props.children) : "";
}
