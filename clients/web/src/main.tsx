import "@fontsource-variable/inter";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/messages.css";
import "./styles/files.css";
import "./styles/interactions.css";
import "./styles/dialogs.css";
import "./styles/finding.css";

import { render } from "preact";

import { Chat } from "./state/session.js";
import { applyTheme } from "./theme.js";
import { App } from "./view/app.js";

applyTheme();
const chat = new Chat();
chat.readPlace();
void chat.resume();
render(<App chat={chat} />, document.getElementById("app")!);
