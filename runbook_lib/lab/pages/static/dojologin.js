// The login page: the fields and the button become widgets once Dojo has loaded.
require(["dijit/form/TextBox", "dijit/form/Button", "dojo/domReady!"], (TextBox, Button) => {
  const hints = KNOBS.login === "placeholders" ? ["Username", "Password"] : ["", ""];
  ["label_username", "label_password"].forEach((id, n) => {
    const node = document.getElementById(id);
    new TextBox({ name: node.name, type: node.type, value: node.value, placeHolder: hints[n] }, node);
  });
  new Button({ label: "Log In", onClick: () => document.getElementById("loginForm").submit() }, "loginPage_LoginButton");
  document.getElementById("loginForm").addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.currentTarget.submit();
  });
});
