import { useEffect, useState } from "react";

/** True once the flag has been true for so long: what is quick shows no sign of waiting. */
export function useDelayed(flag: boolean, milliseconds = 150): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!flag) return setLate(false);
    const timer = setTimeout(() => setLate(true), milliseconds);
    return () => clearTimeout(timer);
  }, [flag, milliseconds]);
  return flag && late;
}
