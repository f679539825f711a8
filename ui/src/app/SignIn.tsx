import { useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { signIn } from "../api/client";
import { Button } from "../components/Button";
import { Notice } from "../components/Notice";
import styles from "./SignIn.module.css";

/** Asked for when this weir has a token; the browser keeps a cookie that scripts cannot read. */
export function SignIn() {
  const [token, setToken] = useState("");
  const [failed, setFailed] = useState<string | null>(null);
  const client = useQueryClient();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await signIn(token);
      await client.resetQueries();
    } catch (error) {
      setFailed(error instanceof Error ? error.message : "That did not work.");
    }
  };
  return (
    <Notice title="This weir asks for a token">
      <form className={styles.form} onSubmit={(event) => void submit(event)}>
        <label htmlFor="token">Token</label>
        <input id="token" type="password" autoComplete="current-password" autoFocus value={token} onChange={(event) => { setToken(event.target.value); setFailed(null); }} aria-invalid={failed !== null} aria-describedby="token-note" />
        <Button look="strong" type="submit">Sign in</Button>
      </form>
      <p id="token-note" role={failed ? "alert" : undefined} className={failed ? styles.failed : undefined}>{failed ?? "It is the value of server.token in weir’s settings; who runs weir can give it to you."}</p>
    </Notice>
  );
}
