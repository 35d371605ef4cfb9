// A room with Vue. Templates in strings need the build of Vue with its compiler: bundle it with
// `esbuild main.ts --bundle --alias:vue=vue/dist/vue.esm-bundler.js --outfile=main.js`.
import { ChatClient } from "@chat-service/client";
import { provideChat, usePresence, useRoom, useTyping } from "@chat-service/client/vue";
import { createApp, defineComponent, ref } from "vue";

interface Text {
  textMessage: string;
}

const RoomPage = defineComponent({
  props: { name: { type: String, required: true } },
  setup(props) {
    const text = ref("");
    const room = useRoom<Text>(() => props.name, { recent: 20 });
    const { members } = usePresence(() => props.name);
    const { users, tell } = useTyping(() => props.name);
    const submit = () => {
      void room.send({ textMessage: text.value });
      text.value = "";
    };
    return { ...room, members, users, tell, text, submit };
  },
  template: `
    <main>
      <h2>{{ name }}: {{ error ? error.message : state }}</h2>
      <p id="members">Here: {{ members.map((member) => member.userName).join(", ") }}</p>
      <button v-if="hasOlder" @click="loadOlder()">Older messages</button>
      <ul>
        <li v-for="message in messages" :key="message.id">
          <template v-if="message.isDeleted">{{ message.author }} deleted a message</template>
          <template v-else>
            <b>{{ message.author }}</b>: {{ message.content.textMessage }} <i v-if="message.isEdited">(edited)</i>
            <span v-for="item in message.reactions" :key="item.reaction">{{ item.reaction }} {{ item.count }} </span>
            <button @click="message.actions.react('👍')">👍</button>
            <button @click="message.actions.delete()">Delete</button>
          </template>
        </li>
      </ul>
      <p id="typing"><template v-if="users.length">{{ users.join(", ") }} typing</template></p>
      <form @submit.prevent="submit">
        <input aria-label="Message" v-model="text" @input="tell()" />
        <button>Send</button>
      </form>
    </main>`,
});

// A real page has a login; see "Logins that expire" in the documentation.
const userName = new URLSearchParams(location.search).get("user") ?? "alice";
const client = new ChatClient<Text>("", { query: { userName } });

const App = defineComponent({
  components: { RoomPage },
  setup() {
    return { ...provideChat(client), room: ref("lobby") };
  },
  template: `
    <p id="state">{{ login?.userName }} {{ state }} {{ error?.message }}</p>
    <select aria-label="Room" v-model="room"><option>lobby</option><option>kitchen</option></select>
    <RoomPage :name="room" />`,
});

createApp(App).mount("#app");
