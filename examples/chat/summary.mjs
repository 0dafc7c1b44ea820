/** What is shown and compared of a session. */
export function summary({ data, currentRoute, currentStep, version }, messages) {
  return {
    messages,
    version: version ?? "none",
    position: currentRoute ? `${currentRoute.id}, step ${currentStep?.id ?? "none"}` : "no route",
    data,
  };
}
