// Uses @discordjs/rest.
import { REST } from "@discordjs/rest";

import { takeSteps } from "./steps.mjs";

await takeSteps((url) => {
  const [api, webhook] = url.split("/v10");
  const rest = new REST({ api });
  return {
    send: (body, { threadId, file, name } = {}) => {
      const query = new URLSearchParams({ wait: "true", with_components: "true" });
      if (threadId) query.set("thread_id", threadId);
      return rest.post(webhook, { auth: false, query, body, files: file && [{ data: file, name }] });
    },
    get: (messageId) => rest.get(`${webhook}/messages/${messageId}`, { auth: false }),
    edit: (messageId, body) => rest.patch(`${webhook}/messages/${messageId}`, { auth: false, body }),
    remove: (messageId) => rest.delete(`${webhook}/messages/${messageId}`, { auth: false }),
  };
});
