import "@fontsource-variable/inter";
import "../../web/src/styles/base.css";
import "../../web/src/styles/dialogs.css";
import "./styles/frame.css";
import "./styles/parts.css";

import { render } from "preact";

import { Session } from "./state/session.js";
import { applyTheme } from "./theme.js";
import { App } from "./view/app.js";

applyTheme();
const session = new Session(new URL("..", document.baseURI));
void session.resume();
render(<App session={session} />, document.getElementById("app")!);
